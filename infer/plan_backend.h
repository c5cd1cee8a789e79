// PlanBackend: answers infer requests with a served model's plan.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "infer/batch_answer.h"
#include "infer/cloud_service.h"
#include "infer/exit_runner.h"
#include "infer/feature_coder.h"
#include "infer/model.h"

namespace branchy {

/// Inputs, outputs and parameters are those of PROTOCOL.md. Thread-safe: each call takes a runner
/// of its own.
class PlanBackend final : public InferBackend {
 public:
  /// Requests with more than `max_batch` rows are refused: each batch size keeps primitives.
  PlanBackend(ServedModel model, std::int64_t max_batch);

  [[nodiscard]] ModelDescription describe() const override;
  [[nodiscard]] InferResponse infer(const InferRequest& request) override;
  /// One request of one row of zeros, so that the first real one finds everything made.
  void warm_up();

 private:
  /// Early exits that the client has before this side's first.
  [[nodiscard]] std::int64_t num_client_exits() const;
  [[nodiscard]] PolicyPtr policy_of(const InferRequest& request) const;
  void read_side_inputs(const InferRequest& request, const ExitPolicy& policy,
                        BatchAnswer& answer) const;
  /// What a request computes with, one at a time.
  struct Worker {
    explicit Worker(const ServedModel& model);
    ExitRunner runner;
    std::optional<FeatureCoder> coder;
  };

  void start(Worker& worker, const WireTensor& input) const;
  [[nodiscard]] std::unique_ptr<Worker> take_worker();

  ServedModel model_;
  std::int64_t max_batch_;
  std::int64_t max_code_bytes_ = 0;  ///< of a row; 0 without a decoder
  std::mutex mutex_;                 // guards idle_
  std::vector<std::unique_ptr<Worker>> idle_;
};

}  // namespace branchy
