#include "train/profile_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "layers/models/registry.h"
#include "train/network_flags.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct ProfileCommand {
  NetworkConfig network{.early_exits = kDefaultExits};
  std::vector<std::string> options;
  std::string exit_after;
  bool json = false;
};

/// The trunk piece and the exit that follow each other, in order of depth.
struct Section {
  std::string name;  ///< "O_l1" (trunk up to exit 1), "O_e1" (exit 1), ...
  std::vector<CostRow> rows;
};

std::vector<Section> sections_of(const MultiExitNetwork& network) {
  std::vector<Section> sections;
  for (std::int64_t exit = 1; exit <= network.num_exits(); ++exit) {
    sections.push_back({fmt::format("O_l{}", exit), network.profile_trunk(exit)});
    sections.push_back({fmt::format("O_e{}", exit), network.profile_exit(exit)});
  }
  return sections;
}

/// Trunk and final exit: the network without its early exits.
Cost backbone_cost(const MultiExitNetwork& network) {
  Cost total = total_cost(network.profile_exit(network.num_exits()));
  for (std::int64_t exit = 1; exit <= network.num_exits(); ++exit)
    total += total_cost(network.profile_trunk(exit));
  return total;
}

std::string shape_text(const Shape& shape) {
  return fmt::format("{}", fmt::join(shape.dims().subspan(1), "x"));
}

void print_table(const MultiExitNetwork& network) {
  constexpr const char* kRow = "{:<28} {:<18} {:>10} {:>10} {:>12} {:>12} {:>12} {:>10}\n";
  fmt::print("{} with {} classes and {} early exits, counts for one image\n", network.config().name,
             network.config().classes, network.config().early_exits);
  fmt::print(
      "counted: convention ptflops (Dong et al.; layers/COST.md); executed: all operations; macs: "
      "multiply-adds\n\n");
  fmt::print(kRow, "layer", "type", "input", "output", "counted", "executed", "macs", "params");
  const auto print_cost = [&](const std::string& name, const Cost& c) {
    fmt::print(kRow, name, "", "", "", c.ptflops, c.executed, c.macs, c.parameters);
  };
  const auto sections = sections_of(network);
  for (const Section& section : sections) {
    for (const CostRow& row : section.rows)
      fmt::print(kRow, row.name, row.type, shape_text(row.src), shape_text(row.dst),
                 row.cost.ptflops, row.cost.executed, row.cost.macs, row.cost.parameters);
    print_cost("= " + section.name, total_cost(section.rows));
    fmt::print("\n");
  }
  fmt::print("totals\n");
  for (const Section& section : sections) print_cost(section.name, total_cost(section.rows));
  print_cost("backbone", backbone_cost(network));
}

ordered_json cost_json(const Cost& c) {
  return {{"ptflops", c.ptflops},   {"pthflops", c.pthflops},     {"macs", c.macs},
          {"executed", c.executed}, {"parameters", c.parameters}, {"bytes_moved", c.bytes_moved}};
}

ordered_json to_json(const MultiExitNetwork& network) {
  ordered_json json{{"network", network.config().name},
                    {"classes", network.config().classes},
                    {"early_exits", network.config().early_exits},
                    {"options", network.config().options},
                    {"convention", "ptflops (Dong et al. 2022), counts for one image"}};
  json["totals"]["backbone"] = cost_json(backbone_cost(network));
  for (const Section& section : sections_of(network)) {
    json["totals"][section.name] = cost_json(total_cost(section.rows));
    for (const CostRow& row : section.rows) {
      ordered_json layer{{"section", section.name},
                         {"name", row.name},
                         {"type", row.type},
                         {"input", row.src.dims()},
                         {"output", row.dst.dims()}};
      layer.update(cost_json(row.cost));
      json["layers"].push_back(layer);
    }
  }
  return json;
}

}  // namespace

void add_profile_command(CLI::App& app) {
  CLI::App* profile =
      app.add_subcommand("profile", "Operation counts of a network, layer by layer and in total");
  const auto command = std::make_shared<ProfileCommand>();
  profile
      ->add_option("--net", command->network.name,
                   fmt::format("Network: {}", fmt::join(network_names(), ", ")))
      ->capture_default_str();
  profile->add_option("--classes", command->network.classes, "Classes")->capture_default_str();
  profile->add_option("--exits", command->network.early_exits,
                      "Early exits before the final one (default: as many as the paper has)");
  add_network_flags(*profile, command->options, command->exit_after);
  profile->add_flag("--json", command->json, "Print JSON instead of a table");
  profile->callback([command] {
    Rng rng(0);
    command->network.options = network_options(command->options, command->exit_after);
    const auto network = make_network(command->network, rng);
    if (command->json)
      fmt::print("{}\n", to_json(*network).dump(2));
    else
      print_table(*network);
  });
}

}  // namespace branchy
