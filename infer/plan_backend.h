// PlanBackend: answers infer requests with a served model's plan.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "infer/batch_answer.h"
#include "infer/exit_runner.h"
#include "infer/infer_backend.h"
#include "infer/model.h"
#include "infer/policies/exit_policy.h"

namespace branchy {

/// Inputs, outputs and parameters are those of PROTOCOL.md. Thread-safe: each call takes a runner
/// of its own.
///
/// 1. A request in a batch gets the exits and classes that it gets alone, and the same bits of the
///    logits where PolicyRunner's fact 2 gives them. What one request does wrong (a code that is
///    none, scores that overflow) fails that request alone.
/// 2. Batches that are computed together are padded to the sizes of `padded_batch`, and so is what
///    remains of them when rows have left at an exit: the plan keeps primitives for these few
///    sizes.
class PlanBackend final : public InferBackend {
 public:
  /// Requests with more than `max_batch` rows are refused. Throws ConfigError for a file that ends
  /// before the final exit.
  PlanBackend(ServedModel model, std::int64_t max_batch);
  ~PlanBackend() override;

  [[nodiscard]] ModelDescription describe() const override;
  [[nodiscard]] InferResponse infer(const InferRequest& request) override;
  /// Requests agree that have the same main input, optional inputs and policy text.
  [[nodiscard]] std::optional<std::string> batch_key(const InferRequest& request) const override;
  [[nodiscard]] std::vector<InferResult> infer_batch(
      std::span<const InferRequest* const> requests) override;
  /// Makes the primitives for batches of up to `rows` rows and computes one of one row of zeros, so
  /// that the first real ones find everything made.
  void warm_up(std::int64_t rows = 1);

 private:
  struct Worker;
  struct Joined;

  /// Early exits that the client has before this side's first.
  [[nodiscard]] std::int64_t num_client_exits() const;
  [[nodiscard]] PolicyPtr policy_of(const InferRequest& request) const;
  void require_rows(const WireTensor& input) const;
  /// Rows to start from: images, or values at the cut.
  [[nodiscard]] Tensor source(Worker& worker, const WireTensor& input) const;
  [[nodiscard]] Joined join(Worker& worker, std::span<const InferRequest* const> requests,
                            const ExitPolicy& policy, std::vector<InferResult>& results) const;
  void run_exits(ExitRunner& runner, BatchAnswer& answer, const ExitPolicy& policy,
                 std::int64_t num_rows) const;
  /// Rows that a batch is computed with.
  [[nodiscard]] std::int64_t padded_rows(std::int64_t rows) const;
  /// Where rows of this input enter the trunk.
  [[nodiscard]] std::int64_t entry_blocks(const WireTensor& input) const;
  [[nodiscard]] std::unique_ptr<Worker> take_worker();
  void give_back(std::unique_ptr<Worker> worker);

  ServedModel model_;
  std::int64_t max_batch_;
  std::int64_t max_code_bytes_ = 0;  ///< of a row; 0 without a decoder
  std::mutex mutex_;                 // guards idle_
  std::vector<std::unique_ptr<Worker>> idle_;
};

}  // namespace branchy
