// Naive double-precision operations: the reference that the framework's results are held against.
// Every loop is the definition of its operation; nothing is shared with the code under test.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "core/plan_builder.h"
#include "core/tensor.h"

namespace branchy::test {

/// Row-major values in double precision.
struct Array {
  Shape shape;
  std::vector<double> values;

  Array() = default;
  explicit Array(const Shape& s) : shape(s), values(static_cast<std::size_t>(s.size()), 0.0) {}
};

[[nodiscard]] Array to_array(const Tensor& tensor);
[[nodiscard]] Tensor to_tensor(const Array& array);
/// Reproducible values in -1 .. 1, different for every `seed`.
[[nodiscard]] Tensor random_tensor(const Shape& shape, std::uint64_t seed);
[[nodiscard]] double dot(const Tensor& a, const Tensor& b);
/// max |actual - expected| / max(1e-30, max |expected|); infinity when shapes differ or a value is
/// not finite.
[[nodiscard]] double relative_error(const Tensor& actual, const Array& expected);
[[nodiscard]] double relative_error(const Tensor& actual, const Tensor& expected);

/// Geometry of a convolution; weights [O, C/groups, K, K], transposed [C, O/groups, K, K].
struct ReferenceConvolution {
  Shape src, dst;
  std::int64_t kernel = 1, stride = 1, padding = 0, groups = 1;
  bool transposed = false;

  /// Calls `tap(src, weight, dst)` with flat indices for every multiplication of the definition;
  /// src (or, transposed, dst) is -1 where the tap falls on padding. Direct: dst(y) = sum over k of
  /// src(y stride - padding + k) w(k). Transposed: src(y) is spread over dst(y stride - padding +
  /// k); so the wide side is src in the first case and dst in the second.
  template <typename Tap>
  void for_each_tap(const Tap& tap) const {
    const Shape& narrow = transposed ? src : dst;
    const Shape& wide = transposed ? dst : src;
    const std::int64_t wide_per_group = wide[1] / groups;
    for (std::int64_t near = 0; near < narrow.size(); ++near) {
      const std::int64_t x = near % narrow[3];
      const std::int64_t y = near / narrow[3] % narrow[2];
      const std::int64_t o = near / (narrow[3] * narrow[2]) % narrow[1];
      const std::int64_t n = near / (narrow[3] * narrow[2] * narrow[1]);
      for (std::int64_t c = 0; c < wide_per_group; ++c)
        for (std::int64_t k = 0; k < kernel * kernel; ++k) {
          const std::int64_t wy = y * stride - padding + k / kernel;
          const std::int64_t wx = x * stride - padding + k % kernel;
          const bool inside = wy >= 0 && wy < wide[2] && wx >= 0 && wx < wide[3];
          const std::int64_t channel = o / (narrow[1] / groups) * wide_per_group + c;
          const std::int64_t far =
              inside ? ((n * wide[1] + channel) * wide[2] + wy) * wide[3] + wx : -1;
          const std::int64_t w = (o * wide_per_group + c) * kernel * kernel + k;
          if (transposed)
            tap(near, w, far);
          else
            tap(far, w, near);
        }
    }
  }
};

/// Parameter gradients follow the source's.
struct ConvolutionGradients {
  Array src, weights, bias;
};
[[nodiscard]] Array convolution(const ReferenceConvolution& geometry, const Array& src,
                                const Array& weights, const std::optional<Array>& bias);
[[nodiscard]] ConvolutionGradients convolution_backward(const ReferenceConvolution& geometry,
                                                        const Array& src, const Array& weights,
                                                        const Array& diff_dst);

/// src [N,C,H,W] or [N,C]. With `batch_statistics`, mean and (biased) variance are those of src;
/// else as given.
struct ReferenceBatchNorm {
  Array scale, shift, mean, variance;
  double epsilon = 1e-5;
  bool batch_statistics = false;

  struct Gradients {
    Array src, scale, shift;
  };
  void use_statistics_of(const Array& src);
  [[nodiscard]] Array forward(const Array& src) const;
  [[nodiscard]] Gradients backward(const Array& src, const Array& diff_dst) const;
};

[[nodiscard]] double activate(ActivationKind kind, double x);
[[nodiscard]] double activation_slope(ActivationKind kind, double x);

[[nodiscard]] Array pool(const Array& src, const Shape& dst, const PoolOp& op);
[[nodiscard]] Array pool_backward(const Array& src, const Array& diff_dst, const PoolOp& op);

/// [N,I] times weights^T [O,I] plus bias [O].
[[nodiscard]] Array linear(const Array& src, const Array& weights,
                           const std::optional<Array>& bias);

}  // namespace branchy::test
