// The loops that core/kernels/quantize.cpp chooses from by CPU; they give the same bytes.
#pragma once

#include <cstdint>

#include "core/kernels/quantize.h"

namespace branchy::kernels {

/// Values begin to end. The first runs everywhere, the second needs AVX-512 F, whose conversions
/// from floats to bytes GCC does not find in a loop (measured: half the time).
void quantize_range(const float* src, ByteSteps steps, std::uint8_t* dst, std::int64_t begin,
                    std::int64_t end);
void quantize_range_avx512(const float* src, ByteSteps steps, std::uint8_t* dst, std::int64_t begin,
                           std::int64_t end);

}  // namespace branchy::kernels
