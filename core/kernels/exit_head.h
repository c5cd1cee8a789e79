// The head of an exit in one pass over its feature: pooling and the linear layer behind it.
#pragma once

#include <cstdint>

#include "core/buffer_pool.h"
#include "core/kernels/image_strides.h"

namespace branchy::kernels {

/// logits [num,out] = pooled [num,channels,pooled_height,pooled_width] weights^T + bias. The
/// feature's channels lie in blocks, the last padded with zeros.
struct ExitHead {
  std::int64_t lanes = 16;
  std::int64_t num = 0, channels = 0, height = 0, width = 0, out = 0;
  ImageStrides src;
  bool max = false;  ///< else the average, for which padding counts as zeros
  std::int64_t window_height = 0, window_width = 0, stride = 1, padding = 0;
  std::int64_t pooled_height = 0, pooled_width = 0;
  const float* weights = nullptr;  ///< from `exit_head_weights`
  const float* bias = nullptr;     ///< [out], or null

  [[nodiscard]] std::int64_t blocks() const { return (channels + lanes - 1) / lanes; }
  [[nodiscard]] std::int64_t pooled_pixels() const { return pooled_height * pooled_width; }
  /// Vectors of an image's pooled values.
  [[nodiscard]] std::int64_t vectors() const { return blocks() * pooled_pixels(); }
  /// Floats for the pooled values, [num][blocks][pooled pixels][lanes].
  [[nodiscard]] std::int64_t scratch() const { return num * vectors() * lanes; }
};

/// Weights [out, channels * pooled pixels], as a row-major feature is flattened, in the order of
/// the pooled values: [out][blocks][pooled pixels][lanes], 0 where a lane has no channel.
[[nodiscard]] Buffer exit_head_weights(const float* weights, const ExitHead& task);
/// `scratch` has `task.scratch()` floats, aligned to the lanes. A sample's bits depend neither on
/// the batch around it nor on the number of threads.
void exit_head(const ExitHead& task, std::int64_t threads, const float* src, float* logits,
               float* scratch);

}  // namespace branchy::kernels
