#include "experiments/lee_rows.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "experiments/reference_texts.h"
#include "infer/policies/policy_text.h"
#include "layers/network_summary.h"

namespace branchy {

namespace {

using nlohmann::json;

/// How often an exit is right over all samples.
double accuracy_at(const StoredExits& exits, std::int64_t exit) {
  std::int64_t correct = 0;
  for (std::int64_t i = 0; i < exits.num_samples(); ++i)
    correct +=
        exits.views(i)[static_cast<std::size_t>(exit - 1)].prediction.label == exits.label(i);
  return static_cast<double>(correct) / static_cast<double>(exits.num_samples());
}

std::optional<double> share(std::int64_t correct, std::int64_t samples) {
  if (samples == 0) return std::nullopt;
  return static_cast<double>(correct) / static_cast<double>(samples);
}

LeeRow count_row(const StoredExits& exits, const ExitPolicy& policy) {
  LeeRow row;
  row.samples = exits.num_samples();
  std::int64_t edge_correct = 0, cloud_correct = 0;
  const auto outcomes = simulate_policy(exits, policy);
  for (std::int64_t i = 0; i < row.samples; ++i) {
    const SampleOutcome& outcome = outcomes[static_cast<std::size_t>(i)];
    const std::int64_t correct = outcome.answer.label == exits.label(i) ? 1 : 0;
    const bool local = outcome.exit < exits.num_exits();
    row.local += local ? 1 : 0;
    (local ? edge_correct : cloud_correct) += correct;
  }
  row.acc_exited = share(edge_correct, row.local);
  row.acc_cloud = share(cloud_correct, row.samples - row.local);
  row.overall =
      static_cast<double>(edge_correct + cloud_correct) / static_cast<double>(row.samples);
  return row;
}

std::int64_t exit_after(const MultiExitNetwork& network, const std::string& model,
                        std::int64_t block) {
  for (std::int64_t exit = 1; exit < network.num_exits(); ++exit)
    if (network.exit(exit).after_block == block) return exit;
  throw ConfigError(
      fmt::format("[lee-exits] {} has no early exit after block {}; choose others with --blocks",
                  model, block));
}

}  // namespace

std::string LeeRow::name() const {
  return multi_exit ? fmt::format("{} exit {}", model, block) : model;
}

std::vector<LeeRow> lee_rows(const std::string& model, const MultiExitNetwork& network,
                             const StoredExits& exits, std::span<const std::int64_t> blocks,
                             std::span<const double> thresholds) {
  if (network.num_exits() < 2)
    throw ConfigError(fmt::format("[lee-exits] {} has no early exit", model));
  const bool multi_exit = network.num_exits() > 2;
  std::vector<std::int64_t> active{1};
  if (multi_exit) {
    active.clear();
    for (const std::int64_t block : blocks) active.push_back(exit_after(network, model, block));
  }
  std::vector<LeeRow> rows;
  for (const std::int64_t exit : active) {
    const std::int64_t block = network.exit(exit).after_block;
    const double acc_all = accuracy_at(exits, exit);
    const double acc_all_final = accuracy_at(exits, exits.num_exits());
    std::int64_t operations = total_cost(network.profile_exit(exit)).ptflops;
    for (std::int64_t i = 1; i <= exit; ++i)
      operations += total_cost(network.profile_trunk(i)).ptflops;
    for (const double threshold : thresholds) {
      LeeRow row = count_row(
          exits,
          *parse_policy(fmt::format("entropy:{},active={}", threshold, exit), network.num_exits()));
      row.model = model;
      row.multi_exit = multi_exit;
      row.block = block;
      row.threshold = threshold;
      row.acc_all = acc_all;
      row.acc_all_final = acc_all_final;
      row.device_operations = operations;
      row.mean_bytes = 4.0 * static_cast<double>(network.feature_shape(block).size()) *
                       (1.0 - row.local_share());
      rows.push_back(row);
    }
  }
  return rows;
}

bool LeePrinted::is_of(const LeeRow& row) const {
  return multi_exit == row.multi_exit && block == row.block &&
         (!threshold || std::abs(*threshold - row.threshold) < 1e-9);
}

std::vector<LeePrinted> lee_printed() {
  std::vector<LeePrinted> printed;
  for (const std::string_view text : reference_texts()) {
    const json document = json::parse(text);
    const auto trained = document.find("trained");
    if (trained == document.end()) continue;
    for (const json& entry : *trained) {
      LeePrinted figure{.multi_exit = entry.at("kind") == "MEM",
                        .block = entry.at("block"),
                        .quantity = entry.at("quantity"),
                        .threshold = {},
                        .value = entry.at("value"),
                        .where = entry.at("where")};
      if (entry.contains("threshold")) figure.threshold = entry.at("threshold").get<double>();
      printed.push_back(std::move(figure));
    }
  }
  return printed;
}

std::optional<double> measured(const LeeRow& row, const std::string& quantity) {
  constexpr double kPercent = 100.0;
  const auto percent = [](std::optional<double> value) {
    return value ? std::optional(kPercent * *value) : std::nullopt;
  };
  // The paper's test set has 10,000 images.
  if (quantity == "local") return 10000.0 * row.local_share();
  if (quantity == "acc_exited") return percent(row.acc_exited);
  if (quantity == "acc_cloud") return percent(row.acc_cloud);
  if (quantity == "overall") return percent(row.overall);
  if (quantity == "acc_all") return percent(row.acc_all);
  throw DataError(fmt::format("[reference lee] quantity '{}' is not measured", quantity));
}

}  // namespace branchy
