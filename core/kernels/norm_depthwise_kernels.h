// The table of inner loops that core/kernels/norm_depthwise.cpp chooses from by CPU.
#pragma once

#include <cstdint>

#include "core/kernels/batch_norm_kernels.h"

namespace branchy::kernels {

/// One image's block of channels in front of and behind a 3x3 kernel with padding 1.
struct DepthwisePlane {
  std::int64_t height, width, out_height, out_width;
  std::int64_t stride;  ///< 1 or 2
  bool streams;         ///< results are written past the caches

  /// Rows of [width + 2][lanes] that the loops keep for themselves: three padded rows, and one of
  /// the source.
  static constexpr std::int64_t kRows = 4;
  [[nodiscard]] std::int64_t scratch() const { return kRows * (width + 2); }
};

/// Everything is aligned to the lanes; src is [height][width][lanes], dst and diff [out_height]
/// [out_width][lanes], weights [3][3][lanes], scratch `plane.scratch()` lines. y = clip(line(src)),
/// surrounded by zeros.
struct NormDepthwiseKernels {
  /// dst = y convolved with the weights.
  void (*forward)(const float* src, const DepthwisePlane& plane, const BatchNormLine& line,
                  Clip clip, const float* weights, float* scratch, float* dst);
  /// With g = diff carried back through weights and clipping: sums[0] = sum of g, sums[1] = sum of
  /// g (src - mean), and behind them the gradients of the nine weights.
  void (*reduce)(const float* src, const float* diff, const DepthwisePlane& plane,
                 const BatchNormLine& line, Clip clip, const float* weights, float* scratch,
                 float* sums);
  /// diff_src = g scale + (src - mean) by_src + by_one; diff_src may be src.
  void (*differentiate)(const float* src, const float* diff, const DepthwisePlane& plane,
                        const BatchNormLine& line, Clip clip, const float* weights,
                        const float* by_src, const float* by_one, float* scratch, float* diff_src);
};

/// For blocks of 8 or 16 lanes. The first runs everywhere, the others need their CPUs.
[[nodiscard]] const NormDepthwiseKernels& norm_depthwise_portable(std::int64_t lanes);
[[nodiscard]] const NormDepthwiseKernels& norm_depthwise_avx2(std::int64_t lanes);
[[nodiscard]] const NormDepthwiseKernels& norm_depthwise_avx512(std::int64_t lanes);

}  // namespace branchy::kernels
