#include "core/kernels/dropout_mask.h"

#include <algorithm>

#include "core/kernels/parallel.h"
#include "core/rng.h"

namespace branchy::kernels {

Tensor dropout_mask(const Shape& shape, float probability, std::uint64_t seed,
                    std::uint64_t stream) {
  constexpr std::int64_t kChunk = 4096;  // elements of one stream
  Tensor mask(shape);
  float* values = mask.mutable_data().data();
  const std::int64_t size = mask.size();
  const float keep = 1.0F / (1.0F - probability);
#pragma omp parallel for schedule(static) if (size >= kSerialBelow)
  for (std::int64_t begin = 0; begin < size; begin += kChunk) {
    Rng rng({seed, stream, static_cast<std::uint64_t>(begin)});
    const std::int64_t end = std::min(size, begin + kChunk);
    for (std::int64_t i = begin; i < end; ++i)
      values[i] = rng.uniform() < probability ? 0.0F : keep;
  }
  return mask;
}

}  // namespace branchy::kernels
