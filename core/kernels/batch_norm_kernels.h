// The table of inner loops that core/kernels/batch_norm.cpp chooses from by CPU.
#pragma once

#include <cstdint>

namespace branchy::kernels {

/// Bounds of the activation after the normalisation: ReLU 0 .. infinity, ReLU6 0 .. 6.
struct Clip {
  float low, high;
};

/// y = (x - mean) scale + shift, one value a lane of each.
struct BatchNormLine {
  const float *mean, *scale, *shift;
};

/// Each function works on one image's block of channels, [pixels][lanes]; everything else has one
/// value a lane. All pointers are aligned to the lanes.
struct BatchNormKernels {
  /// Mean, and sum of squared deviations from it.
  void (*statistics)(const float* src, std::int64_t pixels, float* mean, float* deviation);
  /// dst = clip(y).
  void (*normalize)(const float* src, std::int64_t pixels, const BatchNormLine& line, Clip clip,
                    float* dst);
  /// The same, written past the caches.
  void (*normalize_streamed)(const float* src, std::int64_t pixels, const BatchNormLine& line,
                             Clip clip, float* dst);
  /// dst = clip(y + other).
  void (*normalize_add)(const float* src, const float* other, std::int64_t pixels,
                        const BatchNormLine& line, Clip clip, float* dst);
  /// With g = diff where dst is positive, else 0: g into `passed`, which may be diff, and the sums of
  /// g and of g (src - mean).
  void (*reduce_positive)(const float* src, const float* diff, const float* dst,
                          std::int64_t pixels, const float* mean, float* passed, float* sum_diff,
                          float* sum_product);
  /// With g = diff where the clipping let y pass, else 0: the sums of g and of g (src - mean).
  void (*reduce)(const float* src, const float* diff, std::int64_t pixels,
                 const BatchNormLine& line, Clip clip, float* sum_diff, float* sum_product);
  /// diff_src = g scale + (src - mean) by_src + by_one; diff_src may be diff.
  void (*differentiate)(const float* src, const float* diff, std::int64_t pixels,
                        const BatchNormLine& line, Clip clip, const float* by_src,
                        const float* by_one, float* diff_src);
};

/// For blocks of 8 or 16 lanes. The first runs everywhere, the others need their CPUs.
[[nodiscard]] const BatchNormKernels& batch_norm_portable(std::int64_t lanes);
[[nodiscard]] const BatchNormKernels& batch_norm_avx2(std::int64_t lanes);
[[nodiscard]] const BatchNormKernels& batch_norm_avx512(std::int64_t lanes);

}  // namespace branchy::kernels
