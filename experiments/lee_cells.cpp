// The tables of Lee, Hong, Hong, Kim 2020: CNN-9 with the candidate widths, and sums of the paper.
#include <fmt/core.h>

#include "core/error.h"
#include "experiments/table_cells.h"
#include "layers/network_summary.h"

namespace branchy {

namespace {

/// CNN-9 of one plan with all eight early exits (MEM).
const CountedNetwork& plan(CountedNetworks& networks, const std::string& name) {
  using Options = std::map<std::string, std::string>;
  static const std::map<std::string, Options> plans{{"A", {}},
                                                    {"A+stem", {{"stem", "16"}}},
                                                    {"B", {{"widths", "32,64,128"}}},
                                                    {"C", {{"widths", "64,128,256"}}}};
  const auto found = plans.find(name);
  if (found == plans.end()) throw DataError(fmt::format("[reference] plan '{}' of CNN-9", name));
  return networks.get({"cnn9", 10, 8, found->second});
}

std::size_t block_index(const std::string& row) {
  return static_cast<std::size_t>(first_integer(row) - 1);
}

// Section 4: images that leave at the edge and reach the cloud with their accuracies, T = 0.3.
CellValue overall(CountedNetworks& /*networks*/, const std::string& row,
                  const std::string& /*column*/) {
  constexpr double kSem8Edge = 9139, kSem8Cloud = 861, kSem8EdgeAccuracy = 95.24,
                   kSem8CloudAccuracy = 58.07;
  constexpr std::int64_t kSem3Edge = 5383, kSem3Cloud = 4617;
  if (row.starts_with("SEM-3")) return whole(kSem3Edge + kSem3Cloud);
  return {
      (kSem8Edge * kSem8EdgeAccuracy + kSem8Cloud * kSem8CloudAccuracy) / (kSem8Edge + kSem8Cloud),
      {}};
}

}  // namespace

CellFunctions lee_cells() {
  using Networks = CountedNetworks;
  using Text = std::string;
  return {
      {"lee-plans",
       [](Networks& n, const Text& row, const Text& column) {
         const Cost& backbone = plan(n, column).backbone;
         return whole(row == "parameters" ? backbone.parameters : backbone.ptflops);
       }},
      {"lee-blocks",
       [](Networks& n, const Text& row, const Text& column) {
         return whole(plan(n, column).through.at(block_index(row)).ptflops);
       }},
      {"lee-exits",
       [](Networks& n, const Text& row, const Text& column) {
         return whole(plan(n, column).exits.at(block_index(row)).ptflops);
       }},
      {"lee-features",
       [](Networks& n, const Text& row, const Text& column) {
         return CellValue{{}, shape_text(plan(n, column).features.at(block_index(row)))};
       }},
      {"lee-overall", overall},
  };
}

}  // namespace branchy
