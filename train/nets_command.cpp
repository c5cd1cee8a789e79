#include "train/nets_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "layers/models/registry.h"

namespace branchy {

namespace {

void print_networks(std::int64_t classes) {
  constexpr const char* kRow = "{:<16} {:>12} {:>6} {:>12} {:>14} {:>14} {:>14}\n";
  fmt::print(
      "networks with {} classes and their default options; backbone (trunk and final exit) for one "
      "image, conventions in layers/COST.md\n\n",
      classes);
  fmt::print(kRow, "network", "input", "exits", "parameters", "ptflops", "pthflops", "macs");
  for (const std::string& name : network_names()) {
    Rng rng(0);
    const auto network =
        make_network({.name = name, .classes = classes, .early_exits = kDefaultExits}, rng);
    Cost cost = total_cost(network->profile_exit(network->num_exits()));
    for (std::int64_t exit = 1; exit <= network->num_exits(); ++exit)
      cost += total_cost(network->profile_trunk(exit));
    fmt::print(
        kRow, name, fmt::format("{}", fmt::join(network->input_shape().dims().subspan(1), "x")),
        network->config().early_exits, cost.parameters, cost.ptflops, cost.pthflops, cost.macs);
  }
}

}  // namespace

void add_nets_command(CLI::App& app) {
  CLI::App* nets = app.add_subcommand("nets", "The known networks with parameters and counts");
  const auto classes = std::make_shared<std::int64_t>(10);
  nets->add_option("--classes", *classes, "Classes")->capture_default_str();
  nets->callback([classes] { print_networks(*classes); });
}

}  // namespace branchy
