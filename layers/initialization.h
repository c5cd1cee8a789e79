// Initial values of weights.
#pragma once

#include "core/rng.h"
#include "core/tensor.h"

namespace branchy {

/// While alive, weights that this thread initialises keep unspecified values, for networks whose
/// weights come from a file: drawing those of MobileNetV2 takes 60 ms, half a start of
/// branchy-edge.
class NoInitializationGuard {
 public:
  NoInitializationGuard();
  ~NoInitializationGuard();
  NoInitializationGuard(const NoInitializationGuard&) = delete;
  NoInitializationGuard& operator=(const NoInitializationGuard&) = delete;

 private:
  bool previous_;
};

/// Normal with mean 0 and variance 2 / fan_in (He et al., "Delving Deep into Rectifiers", 2015).
[[nodiscard]] Tensor kaiming_normal(const Shape& shape, std::int64_t fan_in, Rng& rng);
/// Uniform in +-1/sqrt(fan_in) (LeCun et al., "Efficient BackProp", 1998).
[[nodiscard]] Tensor lecun_uniform(const Shape& shape, std::int64_t fan_in, Rng& rng);

}  // namespace branchy
