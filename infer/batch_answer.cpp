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
  if (rows_[row].decision.verdict != Verdict::kGoOn) return false;
  return exit > info_.config.early_exits || policy_.computes(exit, context(row));
}

bool BatchAnswer::wants(std::int64_t exit) const {
  for (std::size_t row = 0; row < rows_.size(); ++row)
    if (wants(exit, row)) return true;
  return false;
}

void BatchAnswer::take(const ExitOutput& output) {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (!wants(output.exit, i)) continue;
    Row& row = rows_[i];
    row.seen.add(output.exit, row_of(output.logits, i), info_.temperature(output.exit));
    if (!std::isfinite(row.seen.views().back().prediction.confidence))
      throw NumericError(fmt::format("[exit {}] scores are not finite", output.exit));
    row.decision = policy_.decide(row.seen.views(), context(i));
    if (row.decision.verdict == Verdict::kGoOn) continue;
    row.last_exit = output.exit;
    --num_open_;
  }
  computed_.push_back(output);
}

// Of the exit that answers; when that one is the client's, of the last one.
std::span<const float> BatchAnswer::logits_of(std::size_t row) const {
  const auto find = [&](std::int64_t exit) {
    return std::find_if(computed_.begin(), computed_.end(),
                        [&](const ExitOutput& output) { return output.exit == exit; });
  };
  auto found = find(rows_[row].decision.answer.exit);
  if (found == computed_.end()) found = find(rows_[row].last_exit);
  return row_of(found->logits, row);
}

std::vector<WireTensor> BatchAnswer::outputs() const {
  BRANCHY_DCHECK(done());
  std::vector<float> logits, confidences;
  std::vector<std::int32_t> exits, last_exits;
  std::vector<std::uint8_t> dropped;
  logits.reserve(rows_.size() * static_cast<std::size_t>(info_.config.classes));
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const Row& row = rows_[i];
    const std::span<const float> scores = logits_of(i);
    logits.insert(logits.end(), scores.begin(), scores.end());
    exits.push_back(static_cast<std::int32_t>(row.decision.answer.exit));
    confidences.push_back(row.decision.answer.confidence);
    last_exits.push_back(static_cast<std::int32_t>(row.last_exit));
    dropped.push_back(row.decision.verdict == Verdict::kDrop ? 1 : 0);
  }
  const std::int64_t count = std::ssize(rows_);
  return {
      fp32_tensor("logits", {count, info_.config.classes}, logits),
      int32_tensor("exit_index", {count}, exits), fp32_tensor("confidence", {count}, confidences),
      int32_tensor("last_exit", {count}, last_exits), uint8_tensor("dropped", {count}, dropped)};
}

}  // namespace branchy
