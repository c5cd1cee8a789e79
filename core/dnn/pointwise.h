// 1x1 convolution of a few images at a time, for training operations that keep them in the cache.
#pragma once

#include <cstdint>
#include <memory>

#include "core/tensor.h"

namespace branchy::dnn {

struct PointwiseSpec {
  std::int64_t images, in, out, height, width;
  std::int64_t lanes;  ///< of the channel blocks of images: blocked_lanes()
  friend bool operator==(const PointwiseSpec&, const PointwiseSpec&) = default;
};

/// Channels of a block for which this CPU has the fastest convolutions: 16 with AVX-512, else 8.
[[nodiscard]] std::int64_t blocked_lanes();

/// Stride 1, no bias. Images are arrays in channel blocks (channel_blocks.h), weights row-major
/// [out, in, 1, 1]. Not thread-safe.
class Pointwise {
 public:
  explicit Pointwise(const PointwiseSpec& spec);
  ~Pointwise();
  Pointwise(Pointwise&&) noexcept;
  Pointwise& operator=(Pointwise&&) noexcept;

  [[nodiscard]] const PointwiseSpec& spec() const;

  void forward(const float* src, const Tensor& weights, float* dst);
  void backward_data(const float* diff_dst, const Tensor& weights, float* diff_src);
  /// Begins a sum of gradients over calls of add_weight_gradient(), in their order.
  void clear_weight_gradient();
  void add_weight_gradient(const float* src, const float* diff_dst);
  /// The sum, row-major.
  [[nodiscard]] Tensor weight_gradient() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy::dnn
