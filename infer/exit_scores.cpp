#include "infer/exit_scores.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string>

#include "core/error.h"
#include "core/printable.h"
#include "infer/exit_costs.h"

namespace branchy {

namespace {

constexpr const char* kReadsAfter = "predictor.reads_after";

std::int64_t parse_reads_after(const ModelInfo& info) {
  const auto found = info.records.find(kReadsAfter);
  if (found == info.records.end()) return 0;
  const std::string& text = found->second;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0)
    throw DataError(
        fmt::format("[{}] is '{}', expected a number of trunk blocks; attach the "
                    "predictor again",
                    kReadsAfter, printable(text)));
  return number;
}

std::shared_ptr<const Plan> lower_predictor(const Attachment& predictor, const ModelInfo& info) {
  const MultiExitNetwork& network = *predictor.network;
  if (network.config().classes != info.config.early_exits || predictor.part != network.whole() ||
      network.num_exits() != 1)
    throw DataError(
        fmt::format("[predictor] {} gives {} scores for {} early exits; attach a "
                    "predictor of this network",
                    network.config().name, network.config().classes, info.config.early_exits));
  return Plan::lower(network, network.whole());
}

}  // namespace

ExitScores::ExitScores(const Attachment& predictor, const ModelInfo& info)
    : reads_after_(parse_reads_after(info)), runner_(lower_predictor(predictor, info)) {
  const ExitCosts costs = exit_costs(*predictor.network);
  operations_ = costs.trunk.front() + costs.exit.front();
}

void ExitScores::require_before_exits(const Plan& plan) const {
  if (reads_after_ > plan.exit_depth(1))
    throw DataError(
        fmt::format("[predictor] reads the value after {} trunk blocks, exit 1 hangs "
                    "on {}; it must read what comes before the exits",
                    reads_after_, plan.exit_depth(1)));
}

Tensor ExitScores::scores(const Tensor& input) {
  runner_.start(input);
  Tensor scores = runner_.run_to(1).logits;
  for (float& score : scores.mutable_data()) score = 1.0F / (1.0F + std::exp(-score));
  return scores;
}

Tensor ExitScores::scores_at_start(ExitRunner& trunk, const Tensor& images) {
  return scores(reads_after_ == 0 ? images : trunk.value_after(reads_after_));
}

}  // namespace branchy
