#include "infer/policies/gate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "core/error.h"

namespace branchy {

namespace {

std::string record_key(std::int64_t exit) { return fmt::format("policy.gate.{}", exit); }
std::string option_key(std::int64_t exit) { return fmt::format("w{}", exit); }

std::vector<GateWeights> parse_weights(PolicyReader& reader, std::int64_t num_early_exits,
                                       bool& from_records) {
  from_records = true;
  for (std::int64_t exit = 1; exit <= num_early_exits; ++exit)
    if (!reader.option(option_key(exit)).empty()) from_records = false;
  std::vector<GateWeights> weights;
  for (std::int64_t exit = 1; exit <= num_early_exits; ++exit) {
    const auto given = from_records ? reader.record_numbers(record_key(exit))
                                    : reader.option_numbers(option_key(exit));
    const std::string place = from_records ? "record " + record_key(exit) : option_key(exit);
    if (given.empty() && from_records)
      reader.refuse(fmt::format("the model has no {}; run `branchy policy --fit-gate`", place));
    if (given.size() != kGateFeatures + 1)
      reader.refuse(fmt::format("{} has {} numbers, expected {} weights and a bias", place,
                                given.size(), kGateFeatures));
    std::copy(given.begin(), given.end(), weights.emplace_back().begin());
  }
  return weights;
}

}  // namespace

std::array<float, kGateFeatures> gate_features(const ExitView& view) {
  return {view.prediction.confidence, view.entropy, view.margin, entropy_of_squares(view.logits)};
}

std::string write_gate(PolicyRecords& records, std::int64_t exit, std::span<const double> weights,
                       double bias) {
  BRANCHY_DCHECK(weights.size() == kGateFeatures);
  std::string text = fmt::format("{}+{}", fmt::join(weights, "+"), bias);
  records[record_key(exit)] = text;
  return text;
}

GatePolicy::GatePolicy(std::vector<GateWeights> weights, ExitThresholds thresholds,
                       bool from_records)
    : weights_(std::move(weights)),
      thresholds_(std::move(thresholds)),
      from_records_(from_records) {}

PolicyPtr GatePolicy::parse(PolicyReader& reader, std::int64_t num_exits) {
  const auto given = reader.values().empty() ? std::vector<float>{0.5F} : reader.numbers();
  ExitThresholds thresholds(given, num_exits - 1);
  bool from_records = false;
  auto weights = parse_weights(reader, num_exits - 1, from_records);
  return std::make_shared<GatePolicy>(std::move(weights), std::move(thresholds), from_records);
}

std::string GatePolicy::text() const {
  std::string text = fmt::format("{}:{}", kName, thresholds_.text());
  for (std::size_t i = 0; i < weights_.size() && !from_records_; ++i)
    text += fmt::format(",{}={}", option_key(static_cast<std::int64_t>(i) + 1),
                        fmt::join(weights_[i], "+"));
  return text;
}

Decision GatePolicy::decide(std::span<const ExitView> seen, const SampleContext& sample) const {
  const ExitView& current = seen.back();
  const std::int64_t exit = current.prediction.exit;
  if (exit == sample.num_exits) return {Verdict::kExit, current.prediction};
  const GateWeights& weights = weights_[static_cast<std::size_t>(exit - 1)];
  const auto features = gate_features(current);
  float sum = weights.back();
  for (std::size_t i = 0; i < features.size(); ++i) sum += weights[i] * features[i];
  if (should_exit(1.0F / (1.0F + std::exp(-sum)), thresholds_.at(exit)))
    return {Verdict::kExit, current.prediction};
  return {};
}

}  // namespace branchy
