#include "train/profile_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/cost_convention.h"
#include "layers/models/registry.h"
#include "layers/network_summary.h"
#include "train/network_flags.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct ProfileCommand {
  NetworkConfig network{.early_exits = kDefaultExits};
  std::vector<std::string> options;
  std::string exit_after;
  std::string convention = "ptflops";
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

void print_table(const MultiExitNetwork& network, CostConvention convention) {
  constexpr const char* kRow = "{:<28} {:<18} {:>12} {:>12} {:>12} {:>12} {:>10}\n";
  fmt::print("{} with {} classes and {} early exits, counts for one image\n", network.config().name,
             network.config().classes, network.config().early_exits);
  fmt::print(
      "{0}: the convention {0} of layers/COST.md; executed: all operations, counted or not\n\n",
      convention_name(convention));
  fmt::print(kRow, "layer", "type", "input", "output", convention_name(convention), "executed",
             "params");
  const auto print_cost = [&](const std::string& name, const Cost& c) {
    fmt::print(kRow, name, "", "", "", counted(c, convention), c.executed, c.parameters);
  };
  const auto sections = sections_of(network);
  for (const Section& section : sections) {
    for (const CostRow& row : section.rows)
      fmt::print(kRow, row.name, row.type, shape_text(row.src), shape_text(row.dst),
                 counted(row.cost, convention), row.cost.executed, row.cost.parameters);
    print_cost("= " + section.name, total_cost(section.rows));
    fmt::print("\n");
  }
  fmt::print("totals\n");
  for (const Section& section : sections) print_cost(section.name, total_cost(section.rows));
  print_cost("backbone", backbone_cost(network));
  print_cost("all parts", whole_cost(network));
}

ordered_json cost_json(const Cost& c, CostConvention convention) {
  return {{"counted", counted(c, convention)},
          {"ptflops", c.ptflops},
          {"pthflops", c.pthflops},
          {"macs", c.macs},
          {"executed", c.executed},
          {"parameters", c.parameters},
          {"bytes_moved", c.bytes_moved}};
}

ordered_json to_json(const MultiExitNetwork& network, CostConvention convention) {
  ordered_json json{{"network", network.config().name},
                    {"classes", network.config().classes},
                    {"early_exits", network.config().early_exits},
                    {"options", network.config().options},
                    {"convention", convention_name(convention)},
                    {"unit", "operations for one image; 'counted' follows the convention"}};
  json["totals"]["backbone"] = cost_json(backbone_cost(network), convention);
  json["totals"]["all_parts"] = cost_json(whole_cost(network), convention);
  for (const Section& section : sections_of(network)) {
    json["totals"][section.name] = cost_json(total_cost(section.rows), convention);
    for (const CostRow& row : section.rows) {
      ordered_json layer{{"section", section.name},
                         {"name", row.name},
                         {"type", row.type},
                         {"input", row.src.dims()},
                         {"output", row.dst.dims()}};
      layer.update(cost_json(row.cost, convention));
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
  profile
      ->add_option("--convention", command->convention,
                   "How operations are counted: ptflops (Dong et al.), pthflops (Pacheco et al.) "
                   "or mac; see layers/COST.md")
      ->capture_default_str();
  profile->add_flag("--json", command->json, "Print JSON instead of a table");
  profile->callback([command] {
    Rng rng(0);
    command->network.options = network_options(command->options, command->exit_after);
    const CostConvention convention = parse_cost_convention(command->convention);
    const auto network = make_network(command->network, rng);
    if (command->json)
      fmt::print("{}\n", to_json(*network, convention).dump(2));
    else
      print_table(*network, convention);
  });
}

}  // namespace branchy
