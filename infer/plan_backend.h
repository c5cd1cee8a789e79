// PlanBackend: answers infer requests with a served model's plan.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "infer/cloud_service.h"
#include "infer/exit_runner.h"
#include "infer/model.h"

namespace branchy {

/// Inputs: `image` UINT8 [N,3,H,W] when the file holds the trunk's start, `feature@<cut>` FP32
/// [N,C,H,W] when it has a cut. Outputs: `logits` FP32 [N,classes], `exit_index` INT32 [N],
/// `confidence` FP32 [N]. Request parameter `thresholds`: for the exits ahead of the final one
/// (one for all, or one each); without it the final exit answers. Response parameter `compute_ms`.
/// Thread-safe: each call takes a runner of its own.
class PlanBackend final : public InferBackend {
 public:
  /// Requests with more than `max_batch` rows are refused: each batch size keeps primitives.
  PlanBackend(ServedModel model, std::int64_t max_batch);

  [[nodiscard]] ModelDescription describe() const override;
  [[nodiscard]] InferResponse infer(const InferRequest& request) override;
  /// One request of one row of zeros, so that the first real one finds everything made.
  void warm_up();

 private:
  void start(ExitRunner& runner, const WireTensor& input, std::int64_t batch) const;
  [[nodiscard]] std::unique_ptr<ExitRunner> take_runner();

  ServedModel model_;
  std::int64_t max_batch_;
  std::mutex mutex_;  // guards idle_
  std::vector<std::unique_ptr<ExitRunner>> idle_;
};

}  // namespace branchy
