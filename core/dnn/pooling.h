// Max and average pooling for training, in the layout of the input.
#pragma once

#include <cstdint>
#include <memory>

#include "core/buffer_pool.h"
#include "core/plan_builder.h"
#include "core/tensor.h"

namespace branchy::dnn {

/// The primitives for one input shape and layout, made once. Not thread-safe. `op.kernel` 0 is
/// global pooling. Padding counts as zeros in an average.
class Pooling {
 public:
  Pooling(const Tensor& like, const PoolOp& op);
  ~Pooling();
  Pooling(Pooling&&) noexcept;
  Pooling& operator=(Pooling&&) noexcept;

  [[nodiscard]] bool fits(const Tensor& src) const;

  struct Result {
    Tensor dst;
    std::shared_ptr<Buffer> workspace;  ///< where each maximum came from; null for averages
  };
  [[nodiscard]] Result forward(const Tensor& src);
  [[nodiscard]] Tensor backward(const Tensor& diff_dst, const Buffer* workspace);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The shape that pooling of [N,C,H,W] gives, [N,C,1,1] for kernel 0; throws ShapeError for another
/// rank and when the window does not fit.
[[nodiscard]] Shape pooled_shape(const Shape& src, const PoolOp& op);

}  // namespace branchy::dnn
