// The inner loops of batch normalisation over one image's block of channels. Compiled once per
// instruction set by batch_norm_*.cpp; nobody else includes it.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/kernels/batch_norm_kernels.h"
#include "core/kernels/vector_lanes.h"

namespace branchy::kernels {

namespace {  // every including file is compiled for other CPUs and must keep its own copies

template <int kLanes, InstructionSet kSet>
struct BatchNormLanes {
  using Lanes = typename VectorOf<kLanes>::Type;

  static const Lanes& at(const float* values, std::int64_t pixel) {
    return *reinterpret_cast<const Lanes*>(values + pixel * kLanes);
  }
  static Lanes& at(float* values, std::int64_t pixel) {
    return *reinterpret_cast<Lanes*>(values + pixel * kLanes);
  }

  /// Mean and squared deviations of tiles that stay in the first cache, joined by the formula of
  /// Chan, Golub, LeVeque 1983.
  static void statistics(const float* src, std::int64_t pixels, float* mean, float* deviation) {
    constexpr std::int64_t kTile = 128;
    Lanes joined_mean = {};
    Lanes joined_deviation = {};
    for (std::int64_t begin = 0; begin < pixels; begin += kTile) {
      const std::int64_t end = begin + kTile < pixels ? begin + kTile : pixels;
      const auto count = static_cast<float>(end - begin);
      const Lanes tile_mean = sum(src, begin, end) * (1.0F / count);
      const Lanes tile_deviation = squares(src, begin, end, tile_mean);
      const auto share = count / static_cast<float>(end);
      const Lanes delta = tile_mean - joined_mean;
      joined_mean += delta * share;
      joined_deviation += tile_deviation + delta * delta * (static_cast<float>(begin) * share);
    }
    at(mean, 0) = joined_mean;
    at(deviation, 0) = joined_deviation;
  }

  static Lanes sum(const float* src, std::int64_t begin, std::int64_t end) {
    Lanes sums[4] = {};
    std::int64_t p = begin;
    for (; p + 4 <= end; p += 4)
      for (int i = 0; i < 4; ++i) sums[i] += at(src, p + i);
    for (; p < end; ++p) sums[0] += at(src, p);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }

  static Lanes squares(const float* src, std::int64_t begin, std::int64_t end, const Lanes& mean) {
    Lanes sums[4] = {};
    std::int64_t p = begin;
    for (; p + 4 <= end; p += 4)
      for (int i = 0; i < 4; ++i) {
        const Lanes d = at(src, p + i) - mean;
        sums[i] += d * d;
      }
    for (; p < end; ++p) {
      const Lanes d = at(src, p) - mean;
      sums[0] += d * d;
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }

  /// Writes past the caches: a line that is overwritten whole need not be read first, and does not
  /// drive out what is still wanted. By 16 bytes, as fast as by 32.
  static void stream(float* dst, const Lanes& values) {
#if defined(__x86_64__)
    for (int i = 0; i < kLanes; i += 4)
      _mm_stream_ps(dst + i, reinterpret_cast<const __m128*>(&values)[i / 4]);
#else
    at(dst, 0) = values;
#endif
  }

  /// In blocks of 8 lanes, streaming saves 4 % of a training step of MobileNetV2; with AVX-512 and
  /// blocks of 16 it costs 2 to 4 %.
  template <bool kStream>
  static void put(float* dst, std::int64_t pixel, const Lanes& values) {
    if constexpr (kStream && kSet != InstructionSet::kAvx512)
      stream(dst + pixel * kLanes, values);
    else
      at(dst, pixel) = values;
  }

  /// Streamed lines are seen by other threads only behind a fence.
  static void end_stream() {
#if defined(__x86_64__)
    _mm_sfence();
#endif
  }

  template <bool kStream>
  static void normalize(const float* src, std::int64_t pixels, const BatchNormLine& line, Clip clip,
                        float* dst) {
    const Lanes center = at(line.mean, 0);
    const Lanes a = at(line.scale, 0);
    const Lanes b = at(line.shift, 0);
    const Lanes low = clip.low - Lanes{};
    const Lanes high = clip.high - Lanes{};
    for (std::int64_t p = 0; p < pixels; ++p) {
      Lanes y = (at(src, p) - center) * a + b;
      y = y < low ? low : y;  // in this order, so that a NaN stays one
      y = y > high ? high : y;
      put<kStream>(dst, p, y);
    }
    if constexpr (kStream) end_stream();
  }

  /// What passes the clipping of a * centered + b.
  static Lanes passed(const Lanes& centered, const Lanes& diff, const Lanes& a, const Lanes& b,
                      const Lanes& low, const Lanes& high) {
    const Lanes y = centered * a + b;
    const auto inside = (y > low) & (y < high);
    return inside ? diff : Lanes{};
  }

  static void reduce(const float* src, const float* diff, std::int64_t pixels,
                     const BatchNormLine& line, Clip clip, float* sum_diff, float* sum_product) {
    const Lanes center = at(line.mean, 0);
    const Lanes a = at(line.scale, 0);
    const Lanes b = at(line.shift, 0);
    const Lanes low = clip.low - Lanes{};
    const Lanes high = clip.high - Lanes{};
    Lanes diffs[4] = {};
    Lanes products[4] = {};
    for (std::int64_t p = 0; p < pixels; p += 4)
      for (std::int64_t i = 0; i < 4 && p + i < pixels; ++i) {
        const Lanes x = at(src, p + i) - center;
        const Lanes g = passed(x, at(diff, p + i), a, b, low, high);
        diffs[i] += g;
        products[i] += g * x;
      }
    at(sum_diff, 0) = (diffs[0] + diffs[1]) + (diffs[2] + diffs[3]);
    at(sum_product, 0) = (products[0] + products[1]) + (products[2] + products[3]);
  }

  static void normalize_add(const float* src, const float* other, std::int64_t pixels,
                            const BatchNormLine& line, Clip clip, float* dst) {
    const Lanes center = at(line.mean, 0);
    const Lanes a = at(line.scale, 0);
    const Lanes b = at(line.shift, 0);
    const Lanes low = clip.low - Lanes{};
    const Lanes high = clip.high - Lanes{};
    for (std::int64_t p = 0; p < pixels; ++p) {
      Lanes y = (at(src, p) - center) * a + b + at(other, p);
      y = y < low ? low : y;  // in this order, so that a NaN stays one
      at(dst, p) = y > high ? high : y;
    }
  }

  static void reduce_positive(const float* src, const float* diff, const float* dst,
                              std::int64_t pixels, const float* mean, float* passed,
                              float* sum_diff, float* sum_product) {
    const Lanes center = at(mean, 0);
    Lanes diffs[4] = {};
    Lanes products[4] = {};
    for (std::int64_t p = 0; p < pixels; p += 4)
      for (std::int64_t i = 0; i < 4 && p + i < pixels; ++i) {
        const auto positive = at(dst, p + i) > Lanes{};
        const Lanes g = positive ? at(diff, p + i) : Lanes{};
        at(passed, p + i) = g;
        diffs[i] += g;
        products[i] += g * (at(src, p + i) - center);
      }
    at(sum_diff, 0) = (diffs[0] + diffs[1]) + (diffs[2] + diffs[3]);
    at(sum_product, 0) = (products[0] + products[1]) + (products[2] + products[3]);
  }

  static void differentiate(const float* src, const float* diff, std::int64_t pixels,
                            const BatchNormLine& line, Clip clip, const float* by_src,
                            const float* by_one, float* diff_src) {
    const Lanes center = at(line.mean, 0);
    const Lanes a = at(line.scale, 0);
    const Lanes b = at(line.shift, 0);
    const Lanes c = at(by_src, 0);
    const Lanes d = at(by_one, 0);
    const Lanes low = clip.low - Lanes{};
    const Lanes high = clip.high - Lanes{};
    for (std::int64_t p = 0; p < pixels; ++p) {
      const Lanes x = at(src, p) - center;
      const Lanes g = passed(x, at(diff, p), a, b, low, high);
      at(diff_src, p) = g * a + (x * c + d);
    }
  }

  static constexpr BatchNormKernels kKernels{statistics,    normalize<false>, normalize<true>,
                                             normalize_add, reduce_positive,  reduce,
                                             differentiate};
};

}  // namespace

}  // namespace branchy::kernels
