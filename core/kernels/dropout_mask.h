// The mask of a dropout layer (Srivastava et al. 2014).
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace branchy::kernels {

/// 0 with the probability given (0 <= probability < 1), else 1 / (1 - probability). Every few
/// thousand elements take their numbers from the stream {seed, stream, their place} (core/rng.h), so
/// the bits do not depend on the number of threads.
[[nodiscard]] Tensor dropout_mask(const Shape& shape, float probability, std::uint64_t seed,
                                  std::uint64_t stream);

}  // namespace branchy::kernels
