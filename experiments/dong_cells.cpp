// The tables of Dong, Mao, Zhang 2022, in the convention `ptflops`.
#include <fmt/core.h>

#include <cmath>

#include "core/error.h"
#include "experiments/table_cells.h"
#include "layers/network_summary.h"

namespace branchy {

namespace {

/// "VGG16-BN exit 2" and "VGG16-BN" are the same network.
std::string network_name(const std::string& text) {
  static const std::map<std::string, std::string> names{
      {"AlexNet", "alexnet"}, {"VGG16-BN", "vgg16_bn"}, {"ResNet44", "resnet44"}};
  const auto found = names.find(text.substr(0, text.find(' ')));
  if (found == names.end()) throw DataError(fmt::format("[reference] network '{}'", text));
  return found->second;
}

const CountedNetwork& with_exits(CountedNetworks& networks, const std::string& network,
                                 std::int64_t classes, std::int64_t early_exits = 2) {
  return networks.get({network_name(network), classes, early_exits, {}});
}

/// With two scores, as for two early exits.
const CountedNetwork& predictor(CountedNetworks& networks, const std::string& row) {
  static const std::map<std::string, std::string> kinds{
      {"Ours", "ours"}, {"w/o Cat. & SE", "plain"}, {"FCs only", "fc"}, {"LeNet", "lenet"}};
  const auto found = kinds.find(row);
  if (found == kinds.end()) throw DataError(fmt::format("[reference] exit predictor '{}'", row));
  return networks.get({"exit_predictor", 2, 0, {{"kind", found->second}}});
}

std::int64_t encoder(CountedNetworks& networks, std::int64_t kernel) {
  return networks.get({"feature_codec", 10, 0, {{"kernel", std::to_string(kernel)}}})
      .trunk.at(0)
      .ptflops;
}

/// "CIFAR-10 O_e2", "O_l3": the part of a network after its class count, by letter and exit.
CellValue part(const CountedNetwork& network, const std::string& row) {
  const auto exit = static_cast<std::size_t>(last_integer(row) - 1);
  const bool is_trunk = row.find("O_l") != std::string::npos;
  return millions((is_trunk ? network.trunk : network.exits).at(exit).ptflops);
}

CellValue step(const CountedNetwork& network, const std::string& row, const std::string& column) {
  const auto exit = static_cast<std::size_t>(last_integer(row) - 1);
  const auto index = static_cast<std::size_t>(last_integer(column) - 1);
  const auto& steps = network.steps.at(exit);
  return index < steps.size() ? CellValue{{}, shape_text(steps[index])} : CellValue{};
}

// Section III, with the entries of the tables as printed: eq. (3) for the device, the rest of the
// backbone for the server. The oracle pays for the exit that accepts the image alone.
CellValue example(CountedNetworks& networks, const std::string& row, const std::string& column) {
  constexpr double kAtExit1 = 0.6662, kAtExit2 = 0.1981, kAtServer = 0.1357;
  const CountedNetwork& network = with_exits(networks, column, 10);
  const auto mean = [&](bool rounded) {
    const auto printed = [&](const Cost& cost) {
      const double count = static_cast<double>(cost.ptflops) / 1e6;
      return rounded ? std::round(100.0 * count) / 100.0 : count;
    };
    const double l1 = printed(network.trunk[0]), l2 = printed(network.trunk[1]);
    const double e1 = printed(network.exits[0]), e2 = printed(network.exits[1]);
    const bool oracle = row.starts_with("oracle");
    double sum = oracle ? l1 + kAtExit1 * e1 + (1.0 - kAtExit1) * l2 + kAtExit2 * e2
                        : l1 + e1 + (1.0 - kAtExit1) * (l2 + e2);
    if (row.find("server") != std::string::npos)
      sum += kAtServer * (printed(network.backbone) - l1 - l2);
    return sum;
  };
  return {mean(true), fmt::format("{:.5f} without rounding", mean(false))};
}

constexpr double kDeviceOperationsPerMs = 3.62e6;  // section V-C
constexpr std::int64_t kBitsAValue = 8;

std::int64_t bits_sent(CountedNetworks& networks) {
  return kBitsAValue * networks.get({"feature_codec", 10, 0, {}}).features.at(0).size();
}

double milliseconds(std::int64_t operations) {
  return static_cast<double>(operations) / kDeviceOperationsPerMs;
}

CellValue device_time(CountedNetworks& networks, const std::string& row,
                      const std::string& column) {
  const CountedNetwork& n = with_exits(networks, column, 100);
  const std::int64_t l1 = n.trunk[0].ptflops, l2 = n.trunk[1].ptflops;
  const std::int64_t e1 = n.exits[0].ptflops, e2 = n.exits[1].ptflops;
  const std::int64_t count = row == "O_l1 + O_e1"   ? l1 + e1
                             : row == "O_l1 + O_l2" ? l1 + l2
                             : row == "all"         ? l1 + l2 + e1 + e2
                             : row == "predictor"   ? predictor(networks, "Ours").backbone.ptflops
                                                    : encoder(networks, last_integer(row));
  return {milliseconds(count), std::to_string(count) + " operations"};
}

/// Bits over the time that the device leaves of 30 ms, in Mbit/s.
CellValue least_bandwidth(CountedNetworks& networks, const std::string& row,
                          const std::string& column) {
  constexpr double kLimitMs = 30.0;
  const CountedNetwork& n = with_exits(networks, column, 100);
  std::int64_t count = n.trunk[0].ptflops + n.trunk[1].ptflops;
  if (row != "encoder not counted") count += encoder(networks, last_integer(row));
  const double left_ms = kLimitMs - milliseconds(count);
  return {static_cast<double>(bits_sent(networks)) / left_ms / 1e3, {}};
}

CellValue bounds(CountedNetworks& networks, const std::string& row, const std::string& column) {
  const CountedNetwork& n = with_exits(networks, column, 100);
  const std::int64_t l1 = n.trunk[0].ptflops, l2 = n.trunk[1].ptflops;
  const std::int64_t e1 = n.exits[0].ptflops, e2 = n.exits[1].ptflops;
  return millions(row == "all exit 1"          ? l1 + e1
                  : row == "all exits skipped" ? l1 + l2
                                               : l1 + l2 + e1 + e2);
}

CellValue codec(CountedNetworks& networks, const std::string& row, const std::string& column) {
  constexpr std::int64_t kBitsAFloat = 32;
  if (row == "bits sent") return whole(bits_sent(networks));
  const CountedNetwork& network = with_exits(networks, column, 10);
  const Shape& feature = network.feature_before(static_cast<std::size_t>(network.after[1]));
  return whole(kBitsAFloat * feature.size() / bits_sent(networks));
}

}  // namespace

CellFunctions dong_cells() {
  using Networks = CountedNetworks;
  using Text = std::string;
  return {
      {"dong-I",
       [](Networks& n, const Text& row, const Text& column) {
         return millions(with_exits(n, column, last_integer(row)).backbone.ptflops);
       }},
      {"dong-II",
       [](Networks& n, const Text& row, const Text& /*column*/) {
         return millions(predictor(n, row).backbone.ptflops);
       }},
      {"dong-III", [](Networks& n, const Text& row,
                      const Text& column) { return step(with_exits(n, row, 10), row, column); }},
      {"dong-IV", [](Networks& n, const Text& row,
                     const Text& column) { return step(with_exits(n, row, 10, 3), row, column); }},
      {"dong-V",
       [](Networks& n, const Text& row, const Text& column) {
         return part(with_exits(n, column, first_integer(row)), row);
       }},
      {"dong-VI", [](Networks& n, const Text& row,
                     const Text& column) { return part(with_exits(n, column, 100, 3), row); }},
      {"dong-example", example},
      {"dong-cut",
       [](Networks& n, const Text& /*row*/, const Text& column) {
         const CountedNetwork& network = with_exits(n, column, 10);
         return whole(network.feature_before(static_cast<std::size_t>(network.after[1])).size());
       }},
      {"dong-codec", codec},
      {"dong-send",
       [](Networks& n, const Text& row, const Text& /*column*/) {
         return CellValue{static_cast<double>(bits_sent(n)) / (1e3 * first_number(row)), {}};
       }},
      {"dong-device", device_time},
      {"dong-30ms", least_bandwidth},
      {"dong-bounds", bounds},
      {"dong-parameters",
       [](Networks& n, const Text& row, const Text& column) {
         return whole(with_exits(n, column, last_integer(row)).backbone.parameters);
       }},
      {"dong-predictor-parameters",
       [](Networks& n, const Text& row, const Text& /*column*/) {
         return whole(predictor(n, row).backbone.parameters);
       }},
  };
}

}  // namespace branchy
