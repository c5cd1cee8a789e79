// Winograd convolution F(4x4, 3x3) for inference (Lavin, Gray 2016), with bias, residual sum and
// activation in the same pass over the result.
#pragma once

#include <cstdint>

#include "core/buffer_pool.h"
#include "core/kernels/batch_norm_kernels.h"
#include "core/kernels/image_strides.h"

namespace branchy::kernels {

/// A 3x3 convolution with stride 1 and padding 1; numbers of channels are multiples of the lanes.
struct InferenceWinograd {
  static constexpr std::int64_t kTile = 4;     ///< pixels of a tile's side
  static constexpr std::int64_t kPoints = 36;  ///< products that make a tile of a channel pair
  std::int64_t lanes = 16;
  std::int64_t num = 0, channels = 0, out_channels = 0, height = 0, width = 0;
  ImageStrides src, dst;
  const float* weights = nullptr;  ///< from `winograd_weights`
  const float* bias = nullptr;     ///< [out_channels], aligned to the lanes
  bool sum = false;                ///< adds what dst holds
  Clip clip{};

  [[nodiscard]] std::int64_t tiles_x() const { return (width + kTile - 1) / kTile; }
  [[nodiscard]] std::int64_t tiles_y() const { return (height + kTile - 1) / kTile; }
  [[nodiscard]] std::int64_t num_tiles() const { return num * tiles_y() * tiles_x(); }
  /// Tiles that go through the transforms together: more where the weights do not stay in the
  /// second cache and are read once for each such group.
  [[nodiscard]] std::int64_t group() const {
    constexpr std::int64_t kCachedWeights = 1 << 17;
    return kPoints * channels * out_channels <= kCachedWeights ? 8 : 16;
  }
  /// Panels of two blocks of output channels (the last may be one).
  [[nodiscard]] std::int64_t num_panels() const { return (out_channels / lanes + 1) / 2; }
  /// Floats that a thread needs for itself.
  [[nodiscard]] std::int64_t scratch() const { return kPoints * group() * (channels + 2 * lanes); }
};

/// Lanes that the kernels of this CPU work with where a layout leaves the choice: 16 with AVX-512,
/// else 8.
[[nodiscard]] std::int64_t inference_lanes();
/// Weights [O,C,3,3] transformed in double precision and rounded once: [panel][36][C][lanes of the
/// panel].
[[nodiscard]] Buffer winograd_weights(const float* weights, std::int64_t out_channels,
                                      std::int64_t channels, std::int64_t lanes);
/// `scratch` has `task.scratch()` floats for each of `threads`. A result's bits depend on the image
/// alone: neither on the others of the batch nor on the number of threads.
void inference_winograd(const InferenceWinograd& task, std::int64_t threads, const float* src,
                        float* dst, float* scratch);

}  // namespace branchy::kernels
