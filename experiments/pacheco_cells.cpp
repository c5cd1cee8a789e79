// The tables of Pacheco et al. 2021: MobileNetV2, its counts and the places of its branches.
#include <fmt/core.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "experiments/table_cells.h"
#include "layers/models/exit_placement.h"
#include "layers/network_summary.h"

namespace branchy {

namespace {

const CountedNetwork& mobilenet(CountedNetworks& networks, std::int64_t side, std::int64_t outputs,
                                std::int64_t branches = 0) {
  return networks.get({"mobilenet_v2", outputs, branches, {{"input", std::to_string(side)}}});
}

constexpr std::int64_t kSide = 224, kClasses = 257, kImageNetClasses = 1000;

/// "112x112x32", as the paper writes it.
std::string image_text(const Shape& shape) {
  return fmt::format("{}x{}x{}", shape[2], shape[3], shape[1]);
}

/// Consecutive modules that one row of the paper's Table 1 describes.
struct ModuleRow {
  Shape input, output;
  std::int64_t repeats;
};

/// The rows between stem and last convolution: inverted residuals with the same output channels.
std::vector<ModuleRow> inverted_residuals(const CountedNetwork& network) {
  std::vector<ModuleRow> rows;
  for (std::size_t i = 1; i + 1 < network.features.size(); ++i) {
    const Shape& output = network.features[i];
    if (!rows.empty() && rows.back().output == output)
      ++rows.back().repeats;
    else
      rows.push_back({network.feature_before(i), output, 1});
  }
  return rows;
}

CellValue table_1(CountedNetworks& networks, const std::string& row, const std::string& column) {
  const CountedNetwork& network = mobilenet(networks, kSide, kClasses);
  const Shape& stem = network.features.front();
  const Shape& last = network.features.back();
  const std::int64_t channels = last[1];
  const Shape pooled{1, channels, 1, 1};
  std::vector<ModuleRow> rows{{network.input, stem, 1}, {stem, stem, 1}};
  const std::vector<ModuleRow> middle = inverted_residuals(network);
  rows.insert(rows.end(), middle.begin() + 1, middle.end());  // the table leaves out the first
  rows.push_back({middle.back().output, last, 1});
  rows.push_back({last, last, 1});
  rows.push_back({last, pooled, 1});
  rows.push_back({pooled, Shape{1, kClasses}, 1});
  const ModuleRow& chosen = rows.at(static_cast<std::size_t>(first_integer(row) - 1));
  if (column == "n") return {{}, std::to_string(chosen.repeats)};
  if (column == "input") return {{}, image_text(chosen.input)};
  return {{}, chosen.output.rank() == 2 ? std::to_string(kClasses) : image_text(chosen.output)};
}

CellValue modules_224(CountedNetworks& networks, const std::string& row,
                      const std::string& column) {
  const CountedNetwork& network = mobilenet(networks, kSide, kImageNetClasses);
  const auto index = static_cast<std::size_t>(first_integer(row));
  const Cost& sum = network.through.at(index);
  const auto share = [](std::int64_t part, std::int64_t total) {
    return CellValue{100.0 * static_cast<double>(part) / static_cast<double>(total), {}};
  };
  if (column == "output") return CellValue{{}, shape_text(network.features.at(index))};
  if (column == "mac") return whole(sum.macs - (index == 0 ? 0 : network.through[index - 1].macs));
  if (column == "cumulative mac") return whole(sum.macs);
  if (column == "% mac") return share(sum.macs, network.backbone.macs);
  if (column == "cumulative pthflops") return whole(sum.pthflops);
  if (column == "% pthflops") return share(sum.pthflops, network.backbone.pthflops);
  return whole(sum.ptflops);
}

CellValue modules_300(CountedNetworks& networks, const std::string& row,
                      const std::string& /*column*/) {
  const CountedNetwork& network = mobilenet(networks, 300, kImageNetClasses);
  if (row == "network") return whole(network.backbone.pthflops);
  return whole(network.through.at(static_cast<std::size_t>(first_integer(row))).pthflops);
}

bool counts_mac(const std::string& row) { return row.find("mac") != std::string::npos; }

CellValue totals(CountedNetworks& networks, const std::string& row, const std::string& /*column*/) {
  const Cost& cost = mobilenet(networks, first_integer(row), last_integer(row)).backbone;
  return whole(counts_mac(row) ? cost.macs : cost.pthflops);
}

// With `pthflops` as the network itself places its branches, with `mac` by the same rule.
CellValue places(CountedNetworks& networks, const std::string& row, const std::string& column) {
  const std::int64_t side = first_integer(row);
  const std::int64_t branches = first_integer(column);
  const bool has_outputs = row.find("outputs") != std::string::npos;
  const std::int64_t outputs = has_outputs ? last_integer(row) : kClasses;
  std::vector<std::int64_t> after;
  if (counts_mac(row)) {
    const CountedNetwork& network = mobilenet(networks, side, outputs);
    std::vector<std::int64_t> cumulative;
    for (const Cost& cost : network.through) cumulative.push_back(cost.macs);
    after = place_exits(PlacementRule::kFlops, cumulative, network.backbone.macs, branches);
  } else {
    after = mobilenet(networks, side, outputs, branches).after;
    after.pop_back();  // the final exit
  }
  for (std::int64_t& blocks : after) --blocks;  // modules count from 0
  return {{}, fmt::format("{}", fmt::join(after, ", "))};
}

CellValue branch_parameters(CountedNetworks& networks, const std::string& row,
                            const std::string& /*column*/) {
  constexpr std::int64_t kBranches = 5;
  const CountedNetwork& network = mobilenet(networks, kSide, kClasses, kBranches);
  for (std::size_t exit = 0; exit < network.after.size(); ++exit)
    if (network.after[exit] == first_integer(row) + 1) return whole(network.exits[exit].parameters);
  throw DataError(fmt::format("[reference pacheco-branches] no branch {}", row));
}

}  // namespace

CellFunctions pacheco_cells() {
  using Networks = CountedNetworks;
  using Text = std::string;
  return {
      {"pacheco-1", table_1},
      {"pacheco-modules-224", modules_224},
      {"pacheco-modules-300", modules_300},
      {"pacheco-totals", totals},
      {"pacheco-parameters",
       [](Networks& n, const Text& row, const Text& /*column*/) {
         return whole(mobilenet(n, kSide, first_integer(row)).backbone.parameters);
       }},
      {"pacheco-places", places},
      {"pacheco-features",
       [](Networks& n, const Text& row, const Text& /*column*/) {
         const auto module = static_cast<std::size_t>(first_integer(row));
         return whole(mobilenet(n, kSide, kImageNetClasses).features.at(module).size());
       }},
      {"pacheco-branches", branch_parameters},
  };
}

}  // namespace branchy
