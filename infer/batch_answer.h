// BatchAnswer: the rows of a batch on their way through the exits behind a cut.
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
  /// An exit computed for some rows: row `i` of its logits is row `rows[i]` here, further ones are
  /// padding. Rows that have left or skip the exit do not look. A row whose scores are not finite
  /// leaves without an answer.
  void take(const ExitOutput& output, std::span<const std::size_t> rows);
  /// Those of `rows` that have not left.
  [[nodiscard]] std::vector<std::size_t> open_rows(std::span<const std::size_t> rows) const;

  /// `logits`, `exit_index`, `confidence`, `last_exit` and `dropped` (PROTOCOL.md) of rows `first`
  /// to `first + count`, which have left. Throws NumericError when one of them has no answer.
  [[nodiscard]] std::vector<WireTensor> outputs(std::int64_t first, std::int64_t count) const;

 private:
  struct Row {
    SeenExits seen;
    Decision decision;           ///< kGoOn while it has not left
    std::int64_t last_exit = 0;  ///< where it left
    bool failed = false;         ///< its scores are not finite
    /// Raw scores of the exits computed here, one after another, and which exits they are.
    std::vector<float> logits;
    std::vector<std::int64_t> exits;
  };

  [[nodiscard]] SampleContext context(std::size_t row) const;
  [[nodiscard]] bool wants(std::int64_t exit, std::size_t row) const;
  [[nodiscard]] bool is_open(const Row& row) const {
    return !row.failed && row.decision.verdict == Verdict::kGoOn;
  }
  void take(std::int64_t exit, std::span<const float> logits, std::size_t row);
  [[nodiscard]] std::span<const float> logits_of(const Row& row) const;

  const ModelInfo& info_;
  const ExitPolicy& policy_;
  std::vector<Row> rows_;
  std::vector<float> scores_;
  std::int64_t num_open_;
};

}  // namespace branchy
