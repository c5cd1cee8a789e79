// What the tests of the inference plan share: random tensors, networks with lived-in statistics.
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/rng.h"
#include "layers/models/registry.h"
#include "layers/network.h"

namespace branchy::test {

inline Tensor random_tensor(const Shape& shape, Rng& rng, float low = -1.0F, float high = 1.0F) {
  Tensor tensor(shape);
  for (float& value : tensor.mutable_data()) value = rng.uniform(low, high);
  return tensor;
}

/// A fresh network whose batch norms have random parameters and statistics, so that folding them
/// matters.
inline std::unique_ptr<MultiExitNetwork> lived_in_network(const NetworkConfig& config) {
  Rng rng(7);
  auto network = make_network(config, rng);
  for (StateEntry& entry : network->state()) {
    if (entry.variable->shape().rank() != 1) continue;
    const bool is_bias = entry.name.ends_with("bias") || entry.name.ends_with("mean");
    for (float& value : entry.variable->mutable_value().mutable_data())
      value = is_bias ? rng.uniform(-0.2F, 0.2F) : rng.uniform(0.7F, 1.3F);
  }
  return network;
}

inline std::unique_ptr<MultiExitNetwork> lived_in_network(std::int64_t early_exits,
                                                          std::int64_t classes = 10) {
  return lived_in_network({.name = "resnet44", .classes = classes, .early_exits = early_exits});
}

[[nodiscard]] inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.data().data(), b.data().data(), a.data().size_bytes()) == 0;
}

/// Sample `index` of a batch.
[[nodiscard]] inline Tensor sample(const Tensor& batch, std::int64_t index) {
  const auto size = static_cast<std::size_t>(batch.size() / batch.dim(0));
  return Tensor::from(batch.shape().with_batch(1),
                      batch.data().subspan(static_cast<std::size_t>(index) * size, size));
}

/// Largest |a - b| / max(1, |b|).
template <class Reference>
[[nodiscard]] double largest_error(const Tensor& a, const Reference& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.data().size(); ++i) {
    const double expected = static_cast<double>(b[i]);
    const double error = std::abs(double{a.data()[i]} - expected);
    largest = std::max(largest, error / std::max(1.0, std::abs(expected)));
    if (!std::isfinite(error)) return error;
  }
  return largest;
}

/// A layer that can only be lowered: by a function.
class LoweredLayer final : public Layer {
 public:
  using Lower = std::function<PlanValue(PlanBuilder&, PlanValue)>;
  LoweredLayer(const Shape& dst, Lower lower) : dst_(dst), lower_(std::move(lower)) {}
  [[nodiscard]] std::string_view type() const override { return "lowered"; }
  [[nodiscard]] Shape output_shape(const Shape& src) const override {
    return dst_.with_batch(src[0]);
  }
  Variable do_forward(const Variable& src, const Pass&) override { return src; }
  [[nodiscard]] Cost cost(const Shape&) const override { return {}; }
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override { return lower_(plan, src); }

 private:
  Shape dst_;
  Lower lower_;
};

}  // namespace branchy::test
