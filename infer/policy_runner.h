// PolicyRunner: executes an exit policy on a network, exit by exit, for batches of any size.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/tensor.h"
#include "infer/exit_costs.h"
#include "infer/exit_runner.h"
#include "infer/exit_scores.h"
#include "infer/policies/exit_policy.h"
#include "infer/sample_outcome.h"

namespace branchy {

struct PolicyRunnerOptions {
  ExitCosts costs;                          ///< of the network, the predictor's included
  std::vector<float> temperatures = {};     ///< positive, one an exit; none for 1
  std::unique_ptr<ExitScores> scores = {};  ///< for policies that need scores
};

/// 1. After each exit only the samples that go on are computed further: their rows of the trunk's
///    value are gathered. An exit is computed for those samples that the policy wants it for, and
///    not at all when there is none.
/// 2. A sample gets the exit and class that it gets alone, with the same bits of the logits. Networks
///    of more than 2^22 weights (AlexNet, VGG16) have convolutions that are computed otherwise in
///    larger batches and agree within rounding (1e-5), so there a class may differ on a tie.
/// 3. Operations are added up as trunk pieces and exits are executed, from `costs`.
///
/// One thread at a time. For networks above 2^22 weights the plan keeps primitives for every number
/// of samples that went on.
class PolicyRunner {
 public:
  /// `plan`: of a whole network, images to final exit. Throws ConfigError for another, and for
  /// costs or temperatures that are not its exits'; DataError for a predictor that
  /// reads what lies behind exit 1.
  PolicyRunner(std::shared_ptr<const Plan> plan, PolicyRunnerOptions options);

  /// One outcome a row of `images` [N,C,H,W], normalised. Throws ConfigError for a policy that
  /// looks ahead, or needs scores when there is no predictor; ShapeError for another shape.
  [[nodiscard]] std::vector<SampleOutcome> run(const Tensor& images, const ExitPolicy& policy);

 private:
  struct Request;
  void require(const ExitPolicy& policy) const;
  void advance_to(Request& request, std::int64_t exit) const;
  void run_exit(Request& request, std::int64_t exit);
  /// Logits of the rows at these places among those alive.
  [[nodiscard]] Tensor exit_logits(const Request& request, std::int64_t exit,
                                   const std::vector<std::size_t>& places);
  /// Counts the exit for a row whose logits are the `logits_row`th of it; whether the row goes on.
  bool decide(Request& request, std::int64_t exit, std::size_t logits_row, std::size_t row,
              std::span<const float> logits) const;
  [[nodiscard]] bool on_device(std::int64_t exit) const {
    return exit <= options_.costs.num_device_exits();
  }

  std::shared_ptr<const Plan> plan_;
  PolicyRunnerOptions options_;
  std::int64_t num_exits_;
  ExitRunner trunk_;  ///< all samples that are alive
  ExitRunner part_;   ///< an exit for some of them
};

}  // namespace branchy
