#include "core/kernels/quantize.h"

#include <bit>

#include "core/kernels/instruction_sets.h"
#include "core/kernels/quantize_ranges.h"

namespace branchy::kernels {

void quantize_range(const float* src, ByteSteps steps, std::uint8_t* dst, std::int64_t begin,
                    std::int64_t end) {
  // Added to a float of small size, rounds it and leaves the integer in the lowest bits of the sum.
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23
  const float factor = steps.factor;
  const float low = steps.low;
  const float high = steps.high;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    float value = src[i] * factor;
    value = value > low ? value : low;
    value = value < high ? value : high;
    dst[i] = static_cast<std::uint8_t>(std::bit_cast<std::uint32_t>(value + kRounder));
  }
}

void quantize(const float* src, std::int64_t count, const ByteSteps& steps, std::int64_t threads,
              std::uint8_t* dst) {
  const auto range = has_avx512() ? quantize_range_avx512 : quantize_range;
#pragma omp parallel for schedule(static) num_threads(static_cast <int>(threads)) if (threads > 1)
  for (std::int64_t share = 0; share < threads; ++share)
    range(src, steps, dst, count * share / threads, count * (share + 1) / threads);
}

}  // namespace branchy::kernels
