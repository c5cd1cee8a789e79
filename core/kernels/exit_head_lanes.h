// The inner loops of an exit's head. Compiled once per instruction set by exit_head_*.cpp; nobody
// else includes it.
#pragma once

#include <algorithm>

#include "core/kernels/exit_head_kernels.h"
#include "core/kernels/vector_lanes.h"

namespace branchy::kernels {

namespace {  // every including file is compiled for other CPUs and must keep its own copies

template <int kLanes>
struct ExitHeadLanes {
  using Lanes = typename VectorOf<kLanes>::Type;
  using Quad = float __attribute__((vector_size(4 * sizeof(float))));

  static const Lanes& at(const float* values) { return *reinterpret_cast<const Lanes*>(values); }
  static Lanes& at(float* values) { return *reinterpret_cast<Lanes*>(values); }

  template <bool kMax>
  static Lanes join(const Lanes& a, const Lanes& b) {
    if constexpr (kMax)
      return b > a ? b : a;
    else
      return a + b;
  }

  struct Range {
    std::int64_t begin, end;
  };

  /// What lies inside the image of the window at position `index` of its row or column.
  static Range inside(const ExitHead& task, std::int64_t index, std::int64_t window,
                      std::int64_t size) {
    const std::int64_t begin = index * task.stride - task.padding;
    return {std::max<std::int64_t>(0, begin), std::min(size, begin + window)};
  }

  /// The same window of `kBlocks` blocks, which may lie beside one another for each pixel.
  template <bool kMax, int kBlocks>
  static void pool_window(const float* src, const ImageStrides& strides, Range rows, Range columns,
                          Lanes (&dst)[kBlocks]) {
    constexpr int kChains = kBlocks == 1 ? 4 : kBlocks == 2 ? 2 : 1;  // hide an addition's latency
    const float* row = src + rows.begin * strides.row;
    Lanes joined[kChains][kBlocks];
    for (int c = 0; c < kChains; ++c)
      for (int b = 0; b < kBlocks; ++b)
        joined[c][b] = kMax ? at(row + columns.begin * strides.pixel + b * strides.block) : Lanes{};
    const auto add = [&](Lanes(&to)[kBlocks], const float* pixel) {
      for (int b = 0; b < kBlocks; ++b) to[b] = join<kMax>(to[b], at(pixel + b * strides.block));
    };
    for (std::int64_t y = rows.begin; y < rows.end; ++y, row += strides.row) {
      std::int64_t x = columns.begin;
      for (; x + kChains <= columns.end; x += kChains)
        for (int c = 0; c < kChains; ++c) add(joined[c], row + (x + c) * strides.pixel);
      for (; x < columns.end; ++x) add(joined[0], row + x * strides.pixel);
    }
    for (int b = 0; b < kBlocks; ++b) {
      dst[b] = joined[0][b];
      for (int c = 1; c < kChains; ++c) dst[b] = join<kMax>(dst[b], joined[c][b]);
    }
  }

  /// The window of the paper networks' exits.
  template <bool kMax>
  static void pool_squares(const ExitHead& task, const float* src, const Lanes& scale,
                           float* pooled) {
    const auto& [image, down, right, block] = task.src;
    for (std::int64_t y = 0; y < task.pooled_height; ++y) {
      const float* from = src + y * task.stride * down;
      for (std::int64_t x = 0; x < task.pooled_width; ++x, pooled += kLanes) {
        at(pooled) = join<kMax>(join<kMax>(at(from), at(from + right)),
                                join<kMax>(at(from + down), at(from + down + right))) *
                     scale;
        from += task.stride * right;
      }
    }
  }

  template <bool kMax, int kBlocks>
  static void pool_windows(const ExitHead& task, const float* src, const Lanes& scale,
                           float* pooled) {
    const std::int64_t block = task.pooled_pixels() * kLanes;
    for (std::int64_t y = 0; y < task.pooled_height; ++y) {
      const Range rows = inside(task, y, task.window_height, task.height);
      for (std::int64_t x = 0; x < task.pooled_width; ++x, pooled += kLanes) {
        const Range columns = inside(task, x, task.window_width, task.width);
        Lanes joined[kBlocks];
        pool_window<kMax, kBlocks>(src, task.src, rows, columns, joined);
        for (int b = 0; b < kBlocks; ++b) at(pooled + b * block) = joined[b] * scale;
      }
    }
  }

  template <bool kMax, int kBlocks>
  static void pool_by(const ExitHead& task, const float* src, float* pooled) {
    const auto size = static_cast<float>(task.window_height * task.window_width);
    const Lanes scale = (kMax ? 1.0F : 1.0F / size) - Lanes{};
    if (task.window_height != 2 || task.window_width != 2 || task.padding != 0)
      return pool_windows<kMax, kBlocks>(task, src, scale, pooled);
    for (int b = 0; b < kBlocks; ++b)
      pool_squares<kMax>(task, src + b * task.src.block, scale,
                         pooled + b * task.pooled_pixels() * kLanes);
  }

  template <int kBlocks>
  static void pool_blocks(const ExitHead& task, const float* src, float* pooled) {
    if (task.max)
      pool_by<true, kBlocks>(task, src, pooled);
    else
      pool_by<false, kBlocks>(task, src, pooled);
  }

  static void pool(const ExitHead& task, std::int64_t count, const float* src, float* pooled) {
    if (count == 4) pool_blocks<4>(task, src, pooled);
    if (count == 3) pool_blocks<3>(task, src, pooled);
    if (count == 2) pool_blocks<2>(task, src, pooled);
    if (count == 1) pool_blocks<1>(task, src, pooled);
  }

  /// Halves, quarters, ... of the lanes added pairwise.
  static float sum(const Lanes& lanes) {
    const auto* quads = reinterpret_cast<const Quad*>(&lanes);
    Quad sum = quads[0] + quads[kLanes / 8];
    if constexpr (kLanes == 16) sum += quads[1] + quads[3];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
  }

  template <int kRows>
  static void multiply_rows(const float* weights, const float* pooled, std::int64_t vectors,
                            float* products) {
    Lanes sums[kRows] = {};
    const std::int64_t row = vectors * kLanes;
    for (std::int64_t i = 0; i < row; i += kLanes) {
      const Lanes x = at(pooled + i);
      for (int r = 0; r < kRows; ++r) sums[r] += x * at(weights + r * row + i);
    }
    for (int r = 0; r < kRows; ++r) products[r] = sum(sums[r]);
  }

  static void multiply(const ExitHead& task, std::int64_t first, std::int64_t count,
                       const float* pooled, float* logits) {
    const std::int64_t vectors = task.vectors();
    const float* weights = task.weights + first * vectors * kLanes;
    if (count == 4) multiply_rows<4>(weights, pooled, vectors, logits);
    if (count == 3) multiply_rows<3>(weights, pooled, vectors, logits);
    if (count == 2) multiply_rows<2>(weights, pooled, vectors, logits);
    if (count == 1) multiply_rows<1>(weights, pooled, vectors, logits);
    if (task.bias == nullptr) return;
    for (std::int64_t r = 0; r < count; ++r) logits[r] += task.bias[first + r];
  }

  static constexpr ExitHeadKernels kKernels{pool, multiply};
};

}  // namespace

}  // namespace branchy::kernels
