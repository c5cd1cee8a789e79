// SampleOutcome: what became of one sample under a policy, executed or simulated.
#pragma once

#include <cstdint>

#include "infer/policies/prediction.h"

namespace branchy {

/// Networks with more exits are refused where outcomes are made.
inline constexpr std::int64_t kMostExits = 64;

struct SampleOutcome {
  std::int64_t exit = 0;  ///< where the sample stopped; `answer.exit` may lie before it (fallback)
  Prediction answer;      ///< of a dropped sample: what the exit thought, not an answer
  bool dropped = false;
  std::uint64_t computed = 0;  ///< bit n-1: exit n was computed
  /// Operations in the convention ptflops: on the device (predictor, trunk to where it stopped or
  /// to the last early exit, computed early exits), and with the server's part.
  std::int64_t device_operations = 0, total_operations = 0;
  std::int64_t bytes_sent = 0;  ///< 0 for a sample that stays on the device

  [[nodiscard]] bool computes(std::int64_t number) const {
    return (computed >> static_cast<unsigned>(number - 1) & 1U) != 0;
  }
  friend bool operator==(const SampleOutcome&, const SampleOutcome&) = default;
};

}  // namespace branchy
