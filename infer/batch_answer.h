// BatchAnswer: the rows of one request on their way through the exits behind a cut.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "infer/exit_runner.h"
#include "infer/seen_exits.h"
#include "infer/wire_tensor.h"
#include "layers/model_file.h"

namespace branchy {

/// Each row leaves where `policy` decides, by what its exits say here and what those before the cut
/// said there. `info` and `policy` outlive it.
class BatchAnswer {
 public:
  BatchAnswer(const ModelInfo& info, const ExitPolicy& policy, std::int64_t num_rows);

  /// An exit that the client has computed for a row, in rising order, before the first `take`.
  void remember(std::int64_t row, const Prediction& prediction);
  /// Scores of the Exit Predictor, row-major [rows, early exits].
  void set_scores(std::vector<float> scores);

  [[nodiscard]] bool done() const { return num_open_ == 0; }
  /// Whether a row that has not left wants this exit computed.
  [[nodiscard]] bool wants(std::int64_t exit) const;
  /// An exit computed for all rows; those that have left or skip it do not look. Throws
  /// NumericError for scores that are not finite.
  void take(const ExitOutput& output);

  /// `logits`, `exit_index`, `confidence`, `last_exit` and `dropped` (PROTOCOL.md), when done.
  [[nodiscard]] std::vector<WireTensor> outputs() const;

 private:
  struct Row {
    SeenExits seen;
    Decision decision;           ///< kGoOn while it has not left
    std::int64_t last_exit = 0;  ///< where it left
  };

  [[nodiscard]] SampleContext context(std::size_t row) const;
  [[nodiscard]] bool wants(std::int64_t exit, std::size_t row) const;
  [[nodiscard]] std::span<const float> logits_of(std::size_t row) const;

  const ModelInfo& info_;
  const ExitPolicy& policy_;
  std::vector<Row> rows_;
  std::vector<float> scores_;
  std::vector<ExitOutput> computed_;
  std::int64_t num_open_;
};

}  // namespace branchy
