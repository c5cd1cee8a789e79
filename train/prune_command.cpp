#include "train/prune_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"
#include "core/provenance.h"
#include "infer/exit_costs.h"
#include "layers/filter_pruning.h"
#include "layers/network_summary.h"
#include "train/checkpoint.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct PruneCommand {
  std::string model;
  double ratio = 0.0;
  std::filesystem::path out;
  bool json = false;
};

/// What pruning changes of a network.
struct PrunedSize {
  ExitCosts costs;
  std::int64_t device = 0;  ///< operations of a sample that computes every early exit
  std::int64_t parameters = 0;

  explicit PrunedSize(const MultiExitNetwork& network)
      : costs(exit_costs(network)), parameters(whole_cost(network).parameters) {
    for (std::size_t i = 0; i + 1 < costs.trunk.size(); ++i)
      device += costs.trunk[i] + costs.exit[i];
  }
};

/// Records and attachments were made for the weights of before. Says in one line what is dropped.
void drop_records(LoadedModel& model) {
  std::string dropped;
  const auto add = [&](const std::string& what) {
    if (!what.empty()) dropped += (dropped.empty() ? "" : ", ") + what;
  };
  if (!model.info.temperatures.empty()) add("temperatures");
  for (const auto& [name, attachment] : model.attachments) add(name);
  if (!model.info.records.empty()) add(fmt::format("{} records", model.info.records.size()));
  if (dropped.empty()) return;
  fmt::print(stderr, "dropped {}: they belong to the network before pruning\n", dropped);
  model.info.temperatures.clear();
  model.info.records.clear();
  model.attachments.clear();
}

void print_row(const std::string& what, double before, double after, int decimals) {
  fmt::print("{:<34} {:>12.{}f} {:>12.{}f} {:>8.2f} %\n", what, before, decimals, after, decimals,
             before == 0.0 ? 0.0 : 100.0 * (after - before) / before);
}

void print_sizes(const PrunedSize& before, const PrunedSize& after) {
  constexpr double kMillion = 1e6;
  const auto millions = [](std::int64_t count) { return static_cast<double>(count) / kMillion; };
  fmt::print("{:<34} {:>12} {:>12} {:>10}\n", "M operations (ptflops)", "before", "after",
             "change");
  for (std::size_t i = 0; i < before.costs.trunk.size(); ++i) {
    print_row(fmt::format("O_l{}", i + 1), millions(before.costs.trunk[i]),
              millions(after.costs.trunk[i]), 4);
    print_row(fmt::format("O_e{}", i + 1), millions(before.costs.exit[i]),
              millions(after.costs.exit[i]), 4);
  }
  print_row("on device, all early exits", millions(before.device), millions(after.device), 4);
  print_row("parameters", static_cast<double>(before.parameters),
            static_cast<double>(after.parameters), 0);
  print_row("bytes of the feature at the cut", static_cast<double>(before.costs.feature_bytes),
            static_cast<double>(after.costs.feature_bytes), 0);
}

ordered_json to_json(const PrunedSize& size) {
  return {{"trunk_operations", size.costs.trunk},
          {"exit_operations", size.costs.exit},
          {"device_operations", size.device},
          {"parameters", size.parameters},
          {"feature_bytes", size.costs.feature_bytes}};
}

void print_json(const PruneCommand& c, const MultiExitNetwork& full,
                const MultiExitNetwork& pruned) {
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["model"] = c.model;
  json["out"] = c.out.string();
  json["ratio"] = c.ratio;
  json["rule"] = "of n filters round(ratio n) with the lowest l2 norm, at least one stays";
  json["convention"] = "ptflops";
  json["before"] = to_json(PrunedSize(full));
  json["after"] = to_json(PrunedSize(pruned));
  json["layers"] = ordered_json::array();
  for (std::size_t i = 0; i < full.filters().size(); ++i)
    json["layers"].push_back({{"conv", full.filters()[i].conv},
                              {"filters_before", full.filters()[i].count},
                              {"filters_after", pruned.filters()[i].count}});
  fmt::print("{}\n", json.dump(2));
}

void run(const PruneCommand& c) {
  LoadedModel model = load_trained(c.model);
  if (!(model.info.part == model.network->whole()))
    throw ConfigError(
        fmt::format("[prune] {} holds one side of a split; give the run or whole model", c.model));
  const auto pruned = prune_filters(*model.network, c.ratio);
  std::int64_t removed = 0;
  for (std::size_t i = 0; i < pruned->filters().size(); ++i)
    removed += model.network->filters()[i].count - pruned->filters()[i].count;
  if (removed > 0) drop_records(model);
  model.info.config = pruned->config();
  save_model(c.out, *pruned, model.info, model.attachments);
  if (c.json) {
    print_json(c, *model.network, *pruned);
    return;
  }
  fmt::print("{}: {} filters removed\n", c.out.string(), removed);
  print_sizes(PrunedSize(*model.network), PrunedSize(*pruned));
}

}  // namespace

void add_prune_command(CLI::App& app) {
  CLI::App* prune = app.add_subcommand(
      "prune", "Remove the weakest filters of the on-device part: a smaller model file");
  prune->footer(
      "Removes the share --ratio of the filters with the lowest l2 norm in each convolution of the "
      "on-device part (trunk up to the last early exit, early exits too), layer by layer: of n "
      "filters round(ratio n), at least one stays. Of residual blocks the first convolution is "
      "pruned, of inverted residuals the hidden channels. The result is a smaller network that "
      "evaluates, exports and trains like any other; branchy finetune --from FILE goes on with "
      "it.");
  const auto command = std::make_shared<PruneCommand>();
  prune->add_option("model", command->model, "Run folder (its best checkpoint) or model file")
      ->required();
  prune
      ->add_option("--ratio", command->ratio,
                   "Share of the filters to remove, 0 <= r < 1 (0.1 in Dong et al.)")
      ->required();
  prune
      ->add_option("--out", command->out,
                   "Model file to write; temperatures, records, predictor and codec are dropped")
      ->required();
  prune->add_flag("--json", command->json, "Print JSON instead of a table");
  prune->callback([command] { run(*command); });
}

}  // namespace branchy
