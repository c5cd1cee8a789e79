// The inner loops of Winograd inference over a group of tiles. Compiled once per instruction set by
// inference_winograd_*.cpp; nobody else includes it.
#pragma once

#include <algorithm>

#include "core/kernels/inference_winograd_kernels.h"
#include "core/kernels/panel_product_lanes.h"
#include "core/kernels/winograd_lines.h"

namespace branchy::kernels {

namespace {  // every including file is compiled for other CPUs and must keep its own copies

template <int kLanes, InstructionSet kSet>
struct InferenceWinogradLanes {
  using Product = PanelProductLanes<kLanes, kSet>;
  using Lines = WinogradLines<kLanes>;
  using Lanes = typename Product::Lanes;
  static constexpr int kSide = 6;  // of a tile of the source
  static constexpr int kPoints = kSide * kSide;

  static const Lanes& at(const float* values) { return *reinterpret_cast<const Lanes*>(values); }
  static Lanes& at(float* values) { return *reinterpret_cast<Lanes*>(values); }

  /// Where a tile lies; y and x of its first result.
  struct Tile {
    Tile(const InferenceWinograd& task, std::int64_t index)
        : image(index / (task.tiles_x() * task.tiles_y())),
          y(index / task.tiles_x() % task.tiles_y() * 4),
          x(index % task.tiles_x() * 4) {}
    std::int64_t image, y, x;
  };

  /// B^T d B of one block of channels; point p goes to dst[p * point_stride].
  template <bool kInside>
  static void transform_source(const InferenceWinograd& task, const Tile& tile, const float* src,
                               float* dst, std::int64_t point_stride) {
    const float* corner = src + (tile.y - 1) * task.src.row + (tile.x - 1) * task.src.pixel;
    Lanes half[kSide][kSide];
    for (int j = 0; j < kSide; ++j) {
      Lanes column[kSide];
#pragma GCC unroll 6
      for (int i = 0; i < kSide; ++i) {
        if constexpr (kInside) {
          column[i] = at(corner + i * task.src.row + j * task.src.pixel);
        } else {
          const std::int64_t y = tile.y - 1 + i;
          const std::int64_t x = tile.x - 1 + j;
          const bool inside = y >= 0 && y < task.height && x >= 0 && x < task.width;
          column[i] = inside ? at(corner + i * task.src.row + j * task.src.pixel) : Lanes{};
        }
      }
      Lines::Source::line(column, half[j]);
    }
    for (int i = 0; i < kSide; ++i) {
      Lanes row[kSide];
      Lanes points[kSide];
#pragma GCC unroll 6
      for (int j = 0; j < kSide; ++j) row[j] = half[j][i];
      Lines::Source::line(row, points);
#pragma GCC unroll 6
      for (int j = 0; j < kSide; ++j) at(dst + (i * kSide + j) * point_stride) = points[j];
    }
  }

  /// Sources to [36][blocks][tiles][lanes].
  static void transform_sources(const InferenceWinograd& task, const WinogradShare& share,
                                const float* src, float* dst) {
    const std::int64_t blocks = task.channels / kLanes;
    const std::int64_t point_stride = blocks * share.num_tiles * kLanes;
    for (std::int64_t t = 0; t < share.num_tiles; ++t) {
      const Tile tile(task, share.first_tile + t);
      const bool inside =
          tile.y > 0 && tile.x > 0 && tile.y + 5 <= task.height && tile.x + 5 <= task.width;
      for (std::int64_t block = 0; block < blocks; ++block) {
        const float* from = src + tile.image * task.src.image + block * task.src.block;
        float* to = dst + (block * share.num_tiles + t) * kLanes;
        if (inside)
          transform_source<true>(task, tile, from, to, point_stride);
        else
          transform_source<false>(task, tile, from, to, point_stride);
      }
    }
  }

  /// A^T m A, bias, sum and clipping of one block of output channels. `kWhole`: no result of the
  /// tile lies outside the image.
  template <bool kSum, bool kWhole>
  static void transform_result(const InferenceWinograd& task, const Tile& tile, const float* src,
                               std::int64_t point_stride, const Lanes& bias, float* dst) {
    Lanes half[kSide][4];
    for (int j = 0; j < kSide; ++j) {
      Lanes column[kSide];
#pragma GCC unroll 6
      for (int i = 0; i < kSide; ++i) column[i] = at(src + (i * kSide + j) * point_stride);
      Lines::Result::line(column, half[j]);
    }
    const Lanes low = task.clip.low - Lanes{};
    const Lanes high = task.clip.high - Lanes{};
    const std::int64_t rows = kWhole ? 4 : std::min<std::int64_t>(4, task.height - tile.y);
    const std::int64_t pixels = kWhole ? 4 : std::min<std::int64_t>(4, task.width - tile.x);
    float* corner = dst + tile.y * task.dst.row + tile.x * task.dst.pixel;
    for (std::int64_t i = 0; i < rows; ++i) {
      Lanes row[kSide];
      Lanes results[4];
#pragma GCC unroll 6
      for (int j = 0; j < kSide; ++j) row[j] = half[j][i];
      Lines::Result::line(row, results);
#pragma GCC unroll 4
      for (std::int64_t j = 0; j < pixels; ++j) {
        Lanes& to = at(corner + i * task.dst.row + j * task.dst.pixel);
        Lanes y = results[j] + bias;
        if constexpr (kSum) y += to;
        y = y < low ? low : y;  // in this order, so that a NaN stays one
        to = y > high ? high : y;
      }
    }
  }

  template <int kVectors>
  static void panel(const InferenceWinograd& task, const WinogradShare& share,
                    std::int64_t first_block, const float* transformed, float* products,
                    float* dst) {
    const std::int64_t tiles = share.num_tiles;
    const std::int64_t depth = task.channels;
    const float* weights = task.weights + first_block * kPoints * depth * kLanes;
    for (int p = 0; p < kPoints; ++p)
      Product::template product<kVectors, true>(
          {transformed + p * depth * tiles, kLanes, tiles * kLanes}, tiles,
          weights + p * depth * kVectors * kLanes, depth,
          {products + p * kVectors * tiles * kLanes, kLanes, tiles * kLanes}, false);
    const auto transform = task.sum ? transform_results<true> : transform_results<false>;
    for (int v = 0; v < kVectors; ++v)
      transform(task, share, products + v * tiles * kLanes, kVectors * tiles * kLanes,
                task.bias + (first_block + v) * kLanes, dst + (first_block + v) * task.dst.block);
  }

  /// Results of one block of output channels.
  template <bool kSum>
  static void transform_results(const InferenceWinograd& task, const WinogradShare& share,
                                const float* products, std::int64_t point_stride, const float* bias,
                                float* dst) {
    for (std::int64_t t = 0; t < share.num_tiles; ++t) {
      const Tile tile(task, share.first_tile + t);
      const bool whole = tile.y + 4 <= task.height && tile.x + 4 <= task.width;
      const auto transform = whole ? transform_result<kSum, true> : transform_result<kSum, false>;
      transform(task, tile, products + t * kLanes, point_stride, at(bias),
                dst + tile.image * task.dst.image);
    }
  }

  static void compute(const InferenceWinograd& task, const WinogradShare& share, const float* src,
                      float* dst, float* scratch) {
    float* products = scratch + kPoints * task.group() * task.channels;
    transform_sources(task, share, src, scratch);
    const std::int64_t blocks = task.out_channels / kLanes;
    for (std::int64_t i = share.first_panel; i < share.end_panel; ++i) {
      if (2 * i + 1 < blocks)
        panel<2>(task, share, 2 * i, scratch, products, dst);
      else
        panel<1>(task, share, 2 * i, scratch, products, dst);
    }
  }

  static constexpr InferenceWinogradKernels kKernels{compute};
};

}  // namespace

}  // namespace branchy::kernels
