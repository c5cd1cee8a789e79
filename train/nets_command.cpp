#include "train/nets_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "layers/models/registry.h"
#include "layers/network_summary.h"
#include "train/network_flags.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct NetsCommand {
  NetworkConfig network{.name = {}, .early_exits = kDefaultExits};  ///< no name: list them all
  std::vector<std::string> options;
  std::string exit_after;
  bool json = false;
};

ordered_json counts_json(const Cost& c) {
  return {{"parameters", c.parameters},
          {"ptflops", c.ptflops},
          {"pthflops", c.pthflops},
          {"mac", c.macs}};
}

ordered_json network_json(const MultiExitNetwork& network) {
  return {{"network", network.config().name},
          {"classes", network.config().classes},
          {"options", network.config().options},
          {"input", network.input_shape().dims().subspan(1)},
          {"early_exits", network.config().early_exits},
          {"blocks", network.blocks().size()},
          {"backbone", counts_json(backbone_cost(network))},
          {"with_exits", counts_json(whole_cost(network))}};
}

std::unique_ptr<MultiExitNetwork> with_default_options(const std::string& name,
                                                       std::int64_t classes) {
  Rng rng(0);
  return make_network({.name = name, .classes = classes, .early_exits = kDefaultExits}, rng);
}

void print_networks(std::int64_t classes, bool json) {
  if (json) {
    ordered_json list = ordered_json::array();
    for (const std::string& name : network_names())
      list.push_back(network_json(*with_default_options(name, classes)));
    fmt::print("{}\n", list.dump(2));
    return;
  }
  constexpr const char* kRow =
      "{:<16} {:>10} {:>6} {:>6} {:>11} {:>11} {:>11} {:>11} {:>11} {:>11}\n";
  fmt::print(
      "networks with {} classes and their default options; counts for one image, conventions in\n"
      "layers/COST.md, of the backbone and (+) with the default early exits; exits fit behind "
      "every\n"
      "block but the last, `branchy nets --net NAME` lists the blocks\n\n",
      classes);
  fmt::print(kRow, "network", "input", "blocks", "exits", "parameters", "ptflops", "pthflops",
             "mac", "parameters+", "ptflops+");
  for (const std::string& name : network_names()) {
    const auto network = with_default_options(name, classes);
    const Cost backbone = backbone_cost(*network);
    const Cost whole = whole_cost(*network);
    fmt::print(kRow, name, shape_text(network->input_shape()), network->blocks().size(),
               network->config().early_exits, backbone.parameters, backbone.ptflops,
               backbone.pthflops, backbone.macs, whole.parameters, whole.ptflops);
  }
}

/// One trunk block: what --exit-after and --cut-after name, and what lies before a cut behind it.
struct BlockRow {
  std::string name;
  Shape output;
  Cost through;      ///< the trunk up to and with this block
  std::string exit;  ///< "exits.1" where one follows
};

std::vector<BlockRow> block_rows(const MultiExitNetwork& network) {
  std::vector<BlockRow> rows;
  Cost sum;
  Shape shape = network.input_shape();
  for (const MultiExitNetwork::Block& block : network.blocks()) {
    sum += block.layer->cost(shape);
    shape = block.layer->output_shape(shape);
    rows.push_back({block.name, shape, sum, {}});
  }
  for (const MultiExitNetwork::Exit& exit : network.exits())
    rows.at(static_cast<std::size_t>(exit.after_block - 1)).exit = exit.name;
  return rows;
}

double percent(std::int64_t part, std::int64_t whole) {
  return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

void print_blocks(const MultiExitNetwork& network, bool json) {
  const Cost backbone = backbone_cost(network);
  if (json) {
    ordered_json document = network_json(network);
    for (const BlockRow& row : block_rows(network))
      document["trunk"].push_back({{"block", row.name},
                                   {"output", row.output.dims().subspan(1)},
                                   {"cumulative", counts_json(row.through)},
                                   {"exit", row.exit}});
    fmt::print("{}\n", document.dump(2));
    return;
  }
  constexpr const char* kRow = "{:<14} {:>12} {:>12} {:>12} {:>7} {:>12}  {}\n";
  fmt::print("{} with {} classes: its blocks, counts cumulative for one image\n\n",
             network.config().name, network.config().classes);
  fmt::print(kRow, "block", "output", "ptflops", "pthflops", "%", "mac", "exit");
  for (const BlockRow& row : block_rows(network))
    fmt::print(kRow, row.name, shape_text(row.output), row.through.ptflops, row.through.pthflops,
               fmt::format("{:.2f}", percent(row.through.pthflops, backbone.pthflops)),
               row.through.macs, row.exit);
  fmt::print(kRow, "with the final", "", backbone.ptflops, backbone.pthflops, "100.00",
             backbone.macs, "");
}

void run(NetsCommand& command) {
  if (command.network.name.empty()) {
    if (!command.options.empty() || !command.exit_after.empty())
      throw ConfigError("[nets] --option and --exit-after are of one network; give --net");
    print_networks(command.network.classes, command.json);
    return;
  }
  command.network.options = network_options(command.options, command.exit_after);
  Rng rng(0);
  print_blocks(*make_network(command.network, rng), command.json);
}

}  // namespace

void add_nets_command(CLI::App& app) {
  CLI::App* nets = app.add_subcommand(
      "nets", "The known networks with parameters and counts, or the blocks of one");
  const auto command = std::make_shared<NetsCommand>();
  CLI::Option* name = nets->add_option("--net", command->network.name,
                                       "List the blocks of this network and where its exits are");
  nets->add_option("--classes", command->network.classes, "Classes")->capture_default_str();
  nets->add_option("--exits", command->network.early_exits,
                   "Early exits before the final one (default: as many as the paper has)")
      ->needs(name);
  add_network_flags(*nets, command->options, command->exit_after);
  nets->add_flag("--json", command->json, "Print JSON instead of a table");
  nets->callback([command] { run(*command); });
}

}  // namespace branchy
