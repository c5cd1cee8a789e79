// The table of inner loops that core/kernels/winograd.cpp chooses from by CPU.
#pragma once

#include <cstdint>

#include "core/kernels/batch_norm_kernels.h"

namespace branchy::kernels {

/// F(4x4, 3x3): a tile of 4x4 results comes from a patch of 6x6 pixels, by 36 products a channel.
inline constexpr std::int64_t kWinogradTile = 4;
inline constexpr std::int64_t kWinogradPatch = 6;
inline constexpr std::int64_t kWinogradPoints = kWinogradPatch * kWinogradPatch;

/// Images in channel blocks, [num][blocks][height][width][lanes], cut into tiles. Tile (ty, tx)
/// begins at pixel 4 ty + origin; what lies outside counts as zero.
struct WinogradImages {
  std::int64_t blocks, height, width;
  std::int64_t origin;  ///< minus the padding for sources, 0 for results
  std::int64_t tiles_high, tiles_wide;

  [[nodiscard]] std::int64_t tiles_per_image() const { return tiles_high * tiles_wide; }
};

/// Tiles [first, first + count), counted through all images, of channel blocks [block, block_end).
struct WinogradRange {
  std::int64_t first, count;
  std::int64_t block, block_end;
};

/// Where transformed tiles lie: [36][blocks][tiles][lanes], the 36 points `point_stride` floats
/// apart, blocks `block_stride`. Strides are no multiples of a cache way's size.
struct WinogradLayout {
  std::int64_t point_stride, block_stride;
};

/// What follows in the same pass over the results.
struct WinogradFinish {
  const float* bias = nullptr;  ///< [blocks][lanes], or null
  Clip clip;
};

/// Factors of a weight gradient at one point. `sums` and the weights of `multiply` have all
/// `channels`; the patches those from `first_channel` on.
struct WinogradProducts {
  const float* patches;
  std::int64_t patch_block_stride;
  const float* diffs;
  std::int64_t diff_block_stride;
  std::int64_t channels, first_channel, end_channel;
  std::int64_t tiles, out_blocks;
};

/// Lavin, Gray 2016. The points are 0, +-1/sqrt(2), +-sqrt(2) and infinity: their products are 1 or
/// near it, which keeps the rounding error a third of that of 0, +-1, +-2. Channels are padded to
/// whole blocks of lanes; all pointers are aligned to the lanes.
struct WinogradKernels {
  /// B^T d B of patches of a source.
  void (*transform_source)(const float* src, const WinogradImages& images,
                           const WinogradRange& range, float* patches,
                           const WinogradLayout& layout);
  /// G' d G'^T of tiles of a result's gradient (F(3x3, 4x4)).
  void (*transform_diff)(const float* diff, const WinogradImages& images,
                         const WinogradRange& range, float* patches, const WinogradLayout& layout);
  /// For one point: products[k][tile] = sum over channels c of patches[c][tile] weights[c][k].
  /// weights: [pairs of blocks][channels][2 lanes]; an odd last block stands alone.
  void (*multiply)(const float* patches, std::int64_t patch_block_stride, const float* weights,
                   std::int64_t channels, std::int64_t tiles, std::int64_t out_blocks,
                   float* products, std::int64_t product_block_stride);
  /// A^T m A of products into the tiles of a result.
  void (*transform_result)(const float* products, const WinogradLayout& layout,
                           const WinogradImages& images, const WinogradRange& range,
                           const WinogradFinish& finish, float* dst);
  /// For one point: sums[c][k] += sum over tiles of patches[c][tile] diffs[k][tile].
  void (*accumulate)(const WinogradProducts& products, float* sums);
  /// G g G^T: nine weights a lane, [9][lanes], to one line of lanes a point.
  void (*transform_weights)(const float* taps, float* weights, std::int64_t point_stride);
  /// A'^T m A' (F(3x3, 4x4)): one line of lanes a point to [9][lanes].
  void (*transform_gradient)(const float* sums, std::int64_t point_stride, float* taps);
};

/// For blocks of 8 or 16 lanes. The first runs everywhere, the others need their CPUs.
[[nodiscard]] const WinogradKernels& winograd_portable(std::int64_t lanes);
[[nodiscard]] const WinogradKernels& winograd_avx2(std::int64_t lanes);
[[nodiscard]] const WinogradKernels& winograd_avx512(std::int64_t lanes);

}  // namespace branchy::kernels
