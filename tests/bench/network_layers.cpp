#include "tests/bench/network_layers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "layers/models/registry.h"
#include "layers/network_summary.h"

namespace branchy::bench {

namespace {

std::vector<CostRow> rows_of(const NetworkConfig& config) {
  Rng rng(1);
  const auto network = make_network(config, rng);
  std::vector<CostRow> rows;
  for (std::int64_t exit = 1; exit <= network->num_exits(); ++exit)
    for (const auto& part : {network->profile_trunk(exit), network->profile_exit(exit)})
      rows.insert(rows.end(), part.begin(), part.end());
  return rows;
}

/// Making the networks takes longer than all else here.
const std::vector<NetworkLayer>& all_layers() {
  static const std::vector<NetworkLayer> layers = [] {
    std::vector<NetworkLayer> all;
    for (const NetworkConfig& config : bench_networks())
      for (const CostRow& row : rows_of(config))
        all.push_back({config.name, row, training_batch(config)});
    return all;
  }();
  return layers;
}

}  // namespace

std::string NetworkLayer::name() const {
  return fmt::format("{}/{}-{}", network, shape_text(row.src), shape_text(row.dst));
}

std::vector<NetworkConfig> bench_networks() {
  return {
      {.name = "resnet44", .early_exits = 2},
      {.name = "vgg16_bn", .early_exits = 2},
      {.name = "alexnet", .early_exits = 2},
      {.name = "mobilenet_v2", .classes = 257, .early_exits = 5, .options = {{"input", "224"}}}};
}

std::int64_t training_batch(const NetworkConfig& network) {
  return network.name == "mobilenet_v2" ? 16 : 128;
}

std::vector<NetworkLayer> network_layers(std::string_view type, const BenchSettings& settings) {
  std::vector<NetworkLayer> chosen;
  for (NetworkLayer layer : all_layers()) {
    if (!layer.row.type.starts_with(type)) continue;
    layer.batch = settings.batch_or(layer.batch);
    const bool known = std::any_of(chosen.begin(), chosen.end(), [&](const NetworkLayer& other) {
      return other.row.type == layer.row.type && other.row.src == layer.row.src &&
             other.row.dst == layer.row.dst && other.row.cost == layer.row.cost &&
             other.batch == layer.batch;
    });
    if (!known) chosen.push_back(std::move(layer));
  }
  return chosen;
}

Tensor random_tensor(const Shape& shape) {
  Rng rng(1);
  Tensor tensor(shape);
  for (float& value : tensor.mutable_data()) value = rng.uniform(-1.0F, 1.0F);
  return tensor;
}

}  // namespace branchy::bench
