// Batch normalisation, optionally with a fused ReLU, in the layout of its input.
#pragma once

#include <cstdint>
#include <memory>

#include "core/buffer_pool.h"
#include "core/tensor.h"

namespace branchy::dnn {

/// kBatch normalises by the statistics of the batch; kRunning by given ones.
enum class BatchNormStatistics { kBatch, kRunning };

/// The primitives for one input shape and layout, made once. Not thread-safe.
class BatchNorm {
 public:
  /// `like` gives shape [N,C,H,W] and layout.
  BatchNorm(const Tensor& like, BatchNormStatistics statistics, float epsilon, bool fuse_relu);
  ~BatchNorm();
  BatchNorm(BatchNorm&&) noexcept;
  BatchNorm& operator=(BatchNorm&&) noexcept;

  [[nodiscard]] bool fits(const Tensor& src) const;

  struct Result {
    Tensor dst;
    Tensor mean, variance;              ///< [C]; those of the batch (biased), or the given ones
    std::shared_ptr<Buffer> workspace;  ///< which outputs the ReLU let through; null without
  };
  /// With kRunning, `mean` and `variance` [C] are read; with kBatch they are ignored.
  [[nodiscard]] Result forward(const Tensor& src, const Tensor& scale, const Tensor& shift,
                               const Tensor& mean, const Tensor& variance);
  struct Gradients {
    Tensor src, scale, shift;
  };
  [[nodiscard]] Gradients backward(const Tensor& src, const Tensor& diff_dst, const Tensor& scale,
                                   const Tensor& shift, const Result& forward_result);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy::dnn
