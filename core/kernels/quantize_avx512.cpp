// Floats to bytes, compiled for AVX-512.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,f16c,prefer-vector-width=512")
#include <immintrin.h>
#define BRANCHY_HAS_AVX512
#endif
#include "core/kernels/quantize_ranges.h"

namespace branchy::kernels {

void quantize_range_avx512(const float* src, ByteSteps steps, std::uint8_t* dst, std::int64_t begin,
                           std::int64_t end) {
#ifdef BRANCHY_HAS_AVX512
  constexpr std::int64_t kLanes = 16;
  const __m512 factor = _mm512_set1_ps(steps.factor);
  const __m512 low = _mm512_set1_ps(steps.low);
  const __m512 high = _mm512_set1_ps(steps.high);
  constexpr __mmask16 kAll = 0xFFFF;  // GCC 12 warns of what the forms without a mask leave open
  for (; begin + kLanes <= end; begin += kLanes) {
    __m512 values = _mm512_mul_ps(_mm512_loadu_ps(src + begin), factor);
    values = _mm512_maskz_max_ps(kAll, values, low);  // a NaN becomes low
    values = _mm512_maskz_min_ps(kAll, values, high);
    const __m512i integers = _mm512_maskz_cvtps_epi32(kAll, values);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + begin),
                     _mm512_maskz_cvtepi32_epi8(kAll, integers));
  }
#endif
  quantize_range(src, steps, dst, begin, end);
}

}  // namespace branchy::kernels
