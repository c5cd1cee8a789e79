#include "infer/batch_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"

namespace branchy {

namespace {

// Row `row` of `logits` [N, classes].
std::span<const float> row_of(const Tensor& logits, std::size_t row) {
  const auto classes = static_cast<std::size_t>(logits.dim(1));
  return logits.data().subspan(row * classes, classes);
}

}  // namespace

BatchAnswer::BatchAnswer(const ModelInfo& info, const ExitPolicy& policy, std::int64_t num_rows)
    : info_(info),
      policy_(policy),
      rows_(static_cast<std::size_t>(num_rows)),
      num_open_(num_rows) {}

void BatchAnswer::remember(std::int64_t row, const Prediction& prediction) {
  rows_.at(static_cast<std::size_t>(row)).seen.add(prediction);
}

void BatchAnswer::set_scores(std::vector<float> scores) {
  BRANCHY_DCHECK(std::ssize(scores) == std::ssize(rows_) * info_.config.early_exits);
  scores_ = std::move(scores);
}

SampleContext BatchAnswer::context(std::size_t row) const {
  SampleContext sample{.num_exits = info_.config.early_exits + 1};
  if (scores_.empty()) return sample;
  const auto early = static_cast<std::size_t>(info_.config.early_exits);
  sample.scores = std::span(scores_).subspan(row * early, early);
  return sample;
}

bool BatchAnswer::wants(std::int64_t exit, std::size_t row) const {
  if (!is_open(rows_[row])) return false;
  return exit > info_.config.early_exits || policy_.computes(exit, context(row));
}

bool BatchAnswer::wants(std::int64_t exit) const {
  for (std::size_t row = 0; row < rows_.size(); ++row)
    if (wants(exit, row)) return true;
  return false;
}

void BatchAnswer::take(const ExitOutput& output, std::span<const std::size_t> rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (wants(output.exit, rows[i])) take(output.exit, row_of(output.logits, i), rows[i]);
  }
}

void BatchAnswer::take(std::int64_t exit, std::span<const float> logits, std::size_t index) {
  Row& row = rows_[index];
  row.seen.add(exit, logits, info_.temperature(exit));
  row.logits.insert(row.logits.end(), logits.begin(), logits.end());
  row.exits.push_back(exit);
  row.last_exit = exit;
  row.failed = !std::isfinite(row.seen.views().back().prediction.confidence);
  if (!row.failed) row.decision = policy_.decide(row.seen.views(), context(index));
  if (!is_open(row)) --num_open_;
}

std::vector<std::size_t> BatchAnswer::open_rows(std::span<const std::size_t> rows) const {
  std::vector<std::size_t> open;
  for (const std::size_t row : rows)
    if (is_open(rows_[row])) open.push_back(row);
  return open;
}

// Of the exit that answers; when that one is the client's, of the last one.
std::span<const float> BatchAnswer::logits_of(const Row& row) const {
  const auto found = std::find(row.exits.begin(), row.exits.end(), row.decision.answer.exit);
  const std::size_t place = found == row.exits.end()
                                ? row.exits.size() - 1
                                : static_cast<std::size_t>(found - row.exits.begin());
  const auto classes = static_cast<std::size_t>(info_.config.classes);
  return std::span(row.logits).subspan(place * classes, classes);
}

std::vector<WireTensor> BatchAnswer::outputs(std::int64_t first, std::int64_t count) const {
  std::vector<float> logits, confidences;
  std::vector<std::int32_t> exits, last_exits;
  std::vector<std::uint8_t> dropped;
  logits.reserve(static_cast<std::size_t>(count * info_.config.classes));
  for (const Row& row :
       std::span(rows_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count))) {
    BRANCHY_DCHECK(!is_open(row));
    if (row.failed)
      throw NumericError(fmt::format("[exit {}] scores are not finite", row.last_exit));
    const std::span<const float> scores = logits_of(row);
    logits.insert(logits.end(), scores.begin(), scores.end());
    exits.push_back(static_cast<std::int32_t>(row.decision.answer.exit));
    confidences.push_back(row.decision.answer.confidence);
    last_exits.push_back(static_cast<std::int32_t>(row.last_exit));
    dropped.push_back(row.decision.verdict == Verdict::kDrop ? 1 : 0);
  }
  return {
      fp32_tensor("logits", {count, info_.config.classes}, logits),
      int32_tensor("exit_index", {count}, exits), fp32_tensor("confidence", {count}, confidences),
      int32_tensor("last_exit", {count}, last_exits), uint8_tensor("dropped", {count}, dropped)};
}

}  // namespace branchy
