// The inner loops of Winograd convolution. Compiled once per instruction set by winograd_*.cpp;
// nobody else includes it.
#pragma once

#include "core/kernels/panel_product_lanes.h"
#include "core/kernels/winograd_kernels.h"
#include "core/kernels/winograd_lines.h"

namespace branchy::kernels {

namespace {  // every including file is compiled for other CPUs and must keep its own copies

template <int kLanes, InstructionSet kSet>
struct WinogradLanes {
  using Product = PanelProductLanes<kLanes, kSet>;
  using Lines = WinogradLines<kLanes>;
  using Lanes = typename Lines::Lanes;

  static constexpr int kPatch = kWinogradPatch;
  static constexpr int kTile = kWinogradTile;

  static const Lanes& at(const float* values, std::int64_t i) {
    return *reinterpret_cast<const Lanes*>(values + i * kLanes);
  }
  static Lanes& at(float* values, std::int64_t i) {
    return *reinterpret_cast<Lanes*>(values + i * kLanes);
  }

  /// Rows, then columns. `load(row, line)` gives a row, `store(row, column, value)` takes results.
  template <typename Transform, typename Load, typename Store>
  static void transform(const Load& load, const Store& store) {
    constexpr int kFrom = Transform::kFrom;
    constexpr int kTo = Transform::kTo;
    Lanes columns[kTo][kFrom];
    for (int row = 0; row < kFrom; ++row) {
      Lanes line[kFrom];
      load(row, line);
      Lanes result[kTo];
      Transform::line(line, result);
      for (int i = 0; i < kTo; ++i) columns[i][row] = result[i];
    }
    for (int column = 0; column < kTo; ++column) {
      Lanes result[kTo];
      Transform::line(columns[column], result);
      for (int row = 0; row < kTo; ++row) store(row, column, result[row]);
    }
  }

  // ---- images and tiles ----------------------------------------------------------------------

  /// Walks the tiles of a range in order.
  struct TileWalk {
    TileWalk(const WinogradImages& of, std::int64_t first)
        : images(of),
          image(first / of.tiles_per_image()),
          ty(first % of.tiles_per_image() / of.tiles_wide),
          tx(first % of.tiles_wide) {}
    void next() {
      if (++tx < images.tiles_wide) return;
      tx = 0;
      if (++ty < images.tiles_high) return;
      ty = 0;
      ++image;
    }
    [[nodiscard]] std::int64_t top() const { return ty * kTile + images.origin; }
    [[nodiscard]] std::int64_t left() const { return tx * kTile + images.origin; }
    /// Floats before a block of the current image.
    [[nodiscard]] std::int64_t offset(std::int64_t block) const {
      return (image * images.blocks + block) * images.height * images.width * kLanes;
    }
    [[nodiscard]] bool holds(std::int64_t size) const {
      return top() >= 0 && left() >= 0 && top() + size <= images.height &&
             left() + size <= images.width;
    }
    const WinogradImages& images;
    std::int64_t image, ty, tx;
  };

  template <int kSize>
  static void load_row(const float* block, const TileWalk& tile, bool inside, int row,
                       Lanes* line) {
    const WinogradImages& images = tile.images;
    const std::int64_t y = tile.top() + row;
    const float* from = block + (y * images.width + tile.left()) * kLanes;
    if (inside) {
      for (int x = 0; x < kSize; ++x) line[x] = at(from, x);
      return;
    }
    const bool has_row = y >= 0 && y < images.height;
    for (int x = 0; x < kSize; ++x) {
      const std::int64_t column = tile.left() + x;
      line[x] = has_row && column >= 0 && column < images.width ? at(from, x) : Lanes{};
    }
  }

  template <typename Transform>
  static void transform_images(const float* src, const WinogradImages& images,
                               const WinogradRange& range, float* patches,
                               const WinogradLayout& layout) {
    constexpr int kSize = Transform::kFrom;
    for (std::int64_t block = range.block; block < range.block_end; ++block) {
      TileWalk tile(images, range.first);
      float* to = patches + (block - range.block) * layout.block_stride;
      for (std::int64_t i = 0; i < range.count; ++i, tile.next(), to += kLanes) {
        const float* from = src + tile.offset(block);
        const bool inside = tile.holds(kSize);
        transform<Transform>(
            [&](int row, Lanes* line) { load_row<kSize>(from, tile, inside, row, line); },
            [&](int row, int column, const Lanes& value) {
              at(to + (row * kPatch + column) * layout.point_stride, 0) = value;
            });
      }
    }
  }

  static void transform_result(const float* products, const WinogradLayout& layout,
                               const WinogradImages& images, const WinogradRange& range,
                               const WinogradFinish& finish, float* dst) {
    const Lanes low = finish.clip.low - Lanes{};
    const Lanes high = finish.clip.high - Lanes{};
    for (std::int64_t block = range.block; block < range.block_end; ++block) {
      TileWalk tile(images, range.first);
      const Lanes bias = finish.bias ? at(finish.bias, block) : Lanes{};
      const float* from = products + (block - range.block) * layout.block_stride;
      for (std::int64_t i = 0; i < range.count; ++i, tile.next(), from += kLanes) {
        float* to = dst + tile.offset(block) + (tile.top() * images.width + tile.left()) * kLanes;
        const std::int64_t rows = images.height - tile.top();
        const std::int64_t columns = images.width - tile.left();
        transform<typename Lines::Result>(
            // The points lie row by row: a "row" here is one column of the products.
            [&](int row, Lanes* line) {
              for (int x = 0; x < kPatch; ++x)
                line[x] = at(from + (row * kPatch + x) * layout.point_stride, 0);
            },
            [&](int row, int column, Lanes value) {
              if (row >= rows || column >= columns) return;
              Lanes& result = at(to, row * images.width + column);
              value += bias;
              value = value < low ? low : value;  // in this order, so that a NaN stays one
              result = value > high ? high : value;
            });
      }
    }
  }

  // ---- products ------------------------------------------------------------------------------

  static void multiply(const float* patches, std::int64_t patch_block_stride, const float* weights,
                       std::int64_t channels, std::int64_t tiles, std::int64_t out_blocks,
                       float* products, std::int64_t product_block_stride) {
    const PanelSource src{patches, kLanes, patch_block_stride};
    for (std::int64_t k = 0; k < out_blocks; k += 2) {
      const float* panel = weights + k * channels * kLanes;
      const PanelResult dst{products + k * product_block_stride, kLanes, product_block_stride};
      if (out_blocks - k > 1)
        Product::template product<2, true>(src, tiles, panel, channels, dst, false);
      else
        Product::template product<1, true>(src, tiles, panel, channels, dst, false);
    }
  }

  /// Rows of sums that the registers hold beside a line of factors: 32 of AVX-512, else 16.
  static constexpr int kGradientRows = kSet == InstructionSet::kAvx512 ? 8 : 4;

  template <int kBlocks>
  static void accumulate_tile(const float* patches, const float* diffs,
                              std::int64_t diff_block_stride, std::int64_t tiles, float* sums) {
    constexpr int kRow = kGradientRows;
    Lanes held[kRow][kBlocks];
    for (int c = 0; c < kRow; ++c)
      for (int k = 0; k < kBlocks; ++k) held[c][k] = at(sums, c * kBlocks + k);
    for (std::int64_t t = 0; t < tiles; ++t) {
      Lanes d[kBlocks];
      for (int k = 0; k < kBlocks; ++k) d[k] = at(diffs + k * diff_block_stride, t);
#pragma GCC unroll 16
      for (int c = 0; c < kRow; ++c) {
        const float value = patches[t * kLanes + c];
#pragma GCC unroll 2
        for (int k = 0; k < kBlocks; ++k) held[c][k] += d[k] * value;
      }
    }
    for (int c = 0; c < kRow; ++c)
      for (int k = 0; k < kBlocks; ++k) at(sums, c * kBlocks + k) = held[c][k];
  }

  static void accumulate(const WinogradProducts& of, float* sums) {
    for (std::int64_t k = 0; k < of.out_blocks; k += 2) {
      const bool pair = of.out_blocks - k > 1;
      const auto run = pair ? accumulate_tile<2> : accumulate_tile<1>;
      const std::int64_t line = (pair ? 2 : 1) * kLanes;
      for (std::int64_t c = of.first_channel; c < of.end_channel; c += kGradientRows) {
        const std::int64_t own = c - of.first_channel;
        run(of.patches + own / kLanes * of.patch_block_stride + own % kLanes,
            of.diffs + k * of.diff_block_stride, of.diff_block_stride, of.tiles,
            sums + k * of.channels * kLanes + c * line);
      }
    }
  }

  // ---- weights -------------------------------------------------------------------------------

  static void transform_weights(const float* taps, float* weights, std::int64_t point_stride) {
    transform<typename Lines::Weights>(
        [&](int row, Lanes* line) {
          for (int x = 0; x < 3; ++x) line[x] = at(taps, row * 3 + x);
        },
        [&](int row, int column, const Lanes& value) {
          at(weights + (row * kPatch + column) * point_stride, 0) = value;
        });
  }

  static void transform_gradient(const float* sums, std::int64_t point_stride, float* taps) {
    transform<typename Lines::Gradient>(
        [&](int row, Lanes* line) {
          for (int x = 0; x < kPatch; ++x)
            line[x] = at(sums + (row * kPatch + x) * point_stride, 0);
        },
        [&](int row, int column, const Lanes& value) { at(taps, row * 3 + column) = value; });
  }

  static constexpr WinogradKernels kKernels{transform_images<typename Lines::Source>,
                                            transform_images<typename Lines::Diff>,
                                            multiply,
                                            transform_result,
                                            accumulate,
                                            transform_weights,
                                            transform_gradient};
};

}  // namespace

}  // namespace branchy::kernels
