// The layers of the four networks that the benchmarks take their shapes from.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/network.h"
#include "tests/bench/bench_settings.h"

namespace branchy::bench {

/// A layer as a training step meets it.
struct NetworkLayer {
  std::string network;  ///< the first that has it
  CostRow row;
  std::int64_t batch;

  [[nodiscard]] Shape src() const { return row.src.with_batch(batch); }
  [[nodiscard]] Shape dst() const { return row.dst.with_batch(batch); }
  /// "resnet44/16x32x32-32x16x16".
  [[nodiscard]] std::string name() const;
};

/// ResNet44, VGG16-BN, AlexNet with two early exits, MobileNetV2 at 224 with five.
[[nodiscard]] std::vector<NetworkConfig> bench_networks();
/// The batch that such a network is trained with.
[[nodiscard]] std::int64_t training_batch(const NetworkConfig& network);

/// Layers whose type begins so, each shape once.
[[nodiscard]] std::vector<NetworkLayer> network_layers(std::string_view type,
                                                       const BenchSettings& settings);

/// Uniform in -1 .. 1.
[[nodiscard]] Tensor random_tensor(const Shape& shape);

}  // namespace branchy::bench
