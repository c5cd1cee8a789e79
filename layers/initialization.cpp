#include "layers/initialization.h"

#include <cmath>
#include <utility>

namespace branchy {
namespace {

thread_local bool initializes = true;

}  // namespace

NoInitializationGuard::NoInitializationGuard() : previous_(std::exchange(initializes, false)) {}
NoInitializationGuard::~NoInitializationGuard() { initializes = previous_; }

Tensor kaiming_normal(const Shape& shape, std::int64_t fan_in, Rng& rng) {
  Tensor tensor(shape);
  if (!initializes) return tensor;
  const float deviation = std::sqrt(2.0F / static_cast<float>(fan_in));
  for (float& value : tensor.mutable_data()) value = deviation * rng.normal();
  return tensor;
}

Tensor lecun_uniform(const Shape& shape, std::int64_t fan_in, Rng& rng) {
  Tensor tensor(shape);
  if (!initializes) return tensor;
  const float bound = 1.0F / std::sqrt(static_cast<float>(fan_in));
  for (float& value : tensor.mutable_data()) value = rng.uniform(-bound, bound);
  return tensor;
}

}  // namespace branchy
