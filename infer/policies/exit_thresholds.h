// ExitThresholds: one threshold for each early exit, as policies are told them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace branchy {

/// Whether a sample leaves: confidence >= threshold. A NaN never does.
[[nodiscard]] constexpr bool should_exit(float confidence, float threshold) {
  return confidence >= threshold;
}

/// One threshold for each early exit from what the user gave: one for all or one for each. Throws
/// ConfigError, placed at `what`, for another count or a value outside 0..1.
[[nodiscard]] std::vector<float> resolve_thresholds(std::span<const float> given,
                                                    std::int64_t num_early_exits,
                                                    std::string_view what = "threshold");

class ExitThresholds {
 public:
  /// As `resolve_thresholds`.
  ExitThresholds(std::vector<float> given, std::int64_t num_early_exits,
                 std::string_view what = "threshold");

  /// Of an early exit, numbered from 1.
  [[nodiscard]] float at(std::int64_t exit) const;
  /// As they were given: `0.9` or `0.9+0.85`.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<float> given_, resolved_;
};

}  // namespace branchy
