// PolicyReport: what an exit policy does to a set of samples, by exit and overall.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "infer/policies/exit_policy.h"
#include "train/mean_estimate.h"
#include "train/policy_simulation.h"

namespace branchy {

/// Whose operations of a sample: those on the device, or also those of the server.
enum class OperationsOn { kDevice, kTotal };
/// "on the device" or "in all".
[[nodiscard]] std::string_view name_of(OperationsOn where);

/// The samples that leave at an exit with an answer. An answer counts for the exit where the sample
/// left, even if its class is that of a shallower one (fallback).
struct ExitFigures {
  std::int64_t correct = 0;
  MeanEstimate confidence = {};  ///< of the answers; its count is that of the samples
  /// Means over these samples and the dropped ones; NaN when there are none.
  double device_operations = 0.0, total_operations = 0.0;
  std::int64_t dropped = 0;      ///< samples that left here without an answer
  std::int64_t correct_all = 0;  ///< of all samples, classified by this exit

  [[nodiscard]] std::int64_t samples() const { return confidence.count(); }
  /// 0..1; NaN when no sample leaves here.
  [[nodiscard]] double acc_exited() const;
};

struct PolicyReport {
  std::string policy;  ///< its text
  std::int64_t samples = 0, correct = 0, dropped = 0;
  /// Samples that the final exit classifies correctly and the policy does not: wrong or dropped.
  std::int64_t excess_errors = 0;
  std::int64_t on_device = 0;    ///< samples that left, answered or not, before the final exit
  MeanEstimate confidence = {};  ///< of the answers
  /// Means over all samples: eq. 3 and 4 of Dong et al. from executed work (convention ptflops),
  /// and what is sent from the device.
  double device_operations = 0.0, total_operations = 0.0, bytes_sent = 0.0;
  std::vector<ExitFigures> exits = {};  ///< index 0 is exit 1

  /// Of all samples, dropped ones counted as wrong.
  [[nodiscard]] double accuracy() const;
  /// Against the final exit on all samples; below 0 when the policy does better.
  [[nodiscard]] double accuracy_lost() const;
  /// Of the samples that got an answer; NaN when none did.
  [[nodiscard]] double acc_answered() const;
  [[nodiscard]] double share(std::int64_t count) const;
  [[nodiscard]] double operations(OperationsOn where) const {
    return where == OperationsOn::kDevice ? device_operations : total_operations;
  }
};

/// One report a policy, in their order, in parallel; the same whatever the number of threads.
/// `progress`, which may be empty, gets 0..1, from one thread at a time. Nothing when
/// Interrupt::requested(). Throws what `simulate_policy` does.
[[nodiscard]] std::vector<PolicyReport> report_policies(
    const StoredExits& exits, std::span<const PolicyPtr> policies,
    const std::function<void(double)>& progress = {});

}  // namespace branchy
