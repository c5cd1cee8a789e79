// Rows times a matrix that lies in panels of one or two vectors: the loop behind own inference
// kernels. Compiled once per instruction set by its users' *_portable/_avx2/_avx512.cpp.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstdint>

#include "core/half.h"
#include "core/kernels/vector_lanes.h"

namespace branchy::kernels {

namespace {  // every including file is compiled for other CPUs and must keep its own copies

/// Element (row, k) at values[row * row_stride + k / lanes * block_stride + k % lanes].
struct PanelSource {
  const float* values;
  std::int64_t row_stride, block_stride;
};

/// Vector v of row r at values[r * row_stride + v * vector_stride], aligned to the lanes.
struct PanelResult {
  float* values;
  std::int64_t row_stride, vector_stride;
};

/// A panel is [k][vectors][lanes]. Every element is summed over k in rising order whatever the
/// number of rows, so a row's bits depend on that row alone.
template <int kLanes, InstructionSet kSet>
struct PanelProductLanes {
  using Lanes = typename VectorOf<kLanes>::Type;

  static const Lanes& load(const float* weights) {
    return *reinterpret_cast<const Lanes*>(weights);
  }

  static Lanes load(const std::uint16_t* halves) {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
    if constexpr (kLanes == 16 && kSet == InstructionSet::kAvx512)
      return reinterpret_cast<Lanes>(_mm512_maskz_cvtph_ps(
          0xFFFF, _mm256_load_si256(reinterpret_cast<const __m256i*>(halves))));
    if constexpr (kLanes == 8 && kSet != InstructionSet::kPortable)
      return reinterpret_cast<Lanes>(
          _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(halves))));
#endif
    Lanes values;
    for (int i = 0; i < kLanes; ++i) values[i] = half_to_float(halves[i]);
    return values;
  }

  template <int kVectors, int kRows, int kCount, typename Weight>
  static void add(const float* src, std::int64_t row_stride, const Weight* panel,
                  Lanes (&sums)[kRows][kVectors]) {
#pragma GCC unroll 4
    for (int k = 0; k < kCount; ++k) {
      Lanes weights[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) weights[v] = load(panel + (k * kVectors + v) * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const float x = src[r * row_stride + k];
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) sums[r][v] += x * weights[v];
      }
    }
  }

  /// `kDense`: rows lie next to one another, whatever row_stride says. `kAdd` is no argument, and
  /// loops over sums are unrolled, lest the sums begin in memory.
  template <int kVectors, int kRows, bool kDense, bool kAdd, typename Weight>
  static void tile(const PanelSource& src, const Weight* panel, std::int64_t depth,
                   const PanelResult& dst) {
    const std::int64_t row_stride = kDense ? kLanes : src.row_stride;
    Lanes sums[kRows][kVectors];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v)
        sums[r][v] = kAdd ? load(dst.values + r * dst.row_stride + v * dst.vector_stride) : Lanes{};
    const float* x = src.values;
    for (; depth >= kLanes; depth -= kLanes) {
      add<kVectors, kRows, kLanes>(x, row_stride, panel, sums);
      x += src.block_stride;
      panel += kLanes * kVectors * kLanes;
    }
    for (; depth > 0; --depth) {
      add<kVectors, kRows, 1>(x, row_stride, panel, sums);
      ++x;
      panel += kVectors * kLanes;
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v)
        *reinterpret_cast<Lanes*>(dst.values + r * dst.row_stride + v * dst.vector_stride) =
            sums[r][v];
  }

  /// dst = (add_to_dst ? dst : 0) + src panel, for any number of rows. The sums of eight rows by
  /// two vectors fit into the 32 registers of AVX-512, of four rows by two into the 16 of AVX2.
  template <int kVectors, bool kDense, typename Weight>
  static void product(const PanelSource& src, std::int64_t rows, const Weight* panel,
                      std::int64_t depth, const PanelResult& dst, bool add_to_dst) {
    if (add_to_dst)
      tiles<kVectors, kDense, true>(src, rows, panel, depth, dst);
    else
      tiles<kVectors, kDense, false>(src, rows, panel, depth, dst);
  }

  template <int kVectors, bool kDense, bool kAdd, typename Weight>
  static void tiles(PanelSource src, std::int64_t rows, const Weight* panel, std::int64_t depth,
                    PanelResult dst) {
    constexpr int kMostRows = kSet == InstructionSet::kAvx512 ? 8 : 4;
    const auto next = [&]<int kRows>() {
      for (; rows >= kRows; rows -= kRows) {
        tile<kVectors, kRows, kDense, kAdd>(src, panel, depth, dst);
        src.values += kRows * (kDense ? kLanes : src.row_stride);
        dst.values += kRows * dst.row_stride;
      }
    };
    next.template operator()<kMostRows>();
    if (rows >= 4) next.template operator()<4>();
    if (rows >= 2) next.template operator()<2>();
    if (rows >= 1) next.template operator()<1>();
  }
};

}  // namespace

}  // namespace branchy::kernels
