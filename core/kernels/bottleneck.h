// The body of an inverted residual block (Sandler et al. 2018) in training, a few images at a time.
#pragma once

#include <memory>

#include "core/kernels/batch_norm.h"
#include "core/kernels/norm_depthwise.h"
#include "core/tensor.h"

namespace branchy::kernels {

/// 1x1 convolution, norm, 3x3 depth-wise convolution, norm, 1x1 convolution, norm; activations are
/// part of the norms.
struct BottleneckParams {
  Tensor expansion;  ///< [M,C,1,1]
  BatchNormParams expansion_norm;
  DepthwiseParams depthwise;  ///< [M,1,3,3]
  BatchNormParams depthwise_norm;
  Tensor projection;  ///< [O,M,1,1]
  BatchNormParams projection_norm;
};

struct BottleneckShape {
  Shape src;                 ///< [N,C,H,W]
  std::int64_t hidden, out;  ///< M and O
  std::int64_t stride = 1;   ///< 1 or 2
  friend bool operator==(const BottleneckShape&, const BottleneckShape&) = default;
};

/// What backward needs of a forward pass.
struct BottleneckSaved {
  Tensor src, expanded, convolved, projected;  ///< the source and what each convolution gave
  BatchNormStatistics expansion, depthwise, projection;
};

struct BottleneckGradients {
  Tensor src;  ///< undefined when it was not wanted
  Tensor expansion, depthwise, projection;
  Tensor expansion_scale, expansion_shift, depthwise_scale, depthwise_shift, projection_scale,
      projection_shift;
};

/// The passes of one shape. As separate operations each norm reads its source again for its
/// statistics and stores its result, which is read twice. Here statistics are gathered of images
/// that were just written, and no normalised activation is stored: it is computed anew where it is
/// read. A step of MobileNetV2 at 224, batch 16, takes 229 ms so, 246 ms with the depth-wise
/// convolution and the norm in front of it fused alone, and less memory.
///
/// Not thread-safe. The bits depend on the number of threads no more than oneDNN's do.
class Bottleneck {
 public:
  /// How many floats of the activations in front of and behind the depth-wise convolution are
  /// worked on together, in whole images: 24 MB. With MobileNetV2 at 224, batch 16, on two Zen 4
  /// cores with 32 MB of last cache a step took 299 ms at 0.7 million, 275 at 1.5, 250 at 3, 231 at
  /// 6 and 12, and 234 for the whole batch at once: waiting for threads after every few images
  /// costs more than the nearer caches give.
  static constexpr std::int64_t kFloatsTogether = 6'000'000;

  explicit Bottleneck(const BottleneckShape& shape, std::int64_t most_floats = kFloatsTogether);
  ~Bottleneck();
  Bottleneck(Bottleneck&&) noexcept;
  Bottleneck& operator=(Bottleneck&&) noexcept;

  [[nodiscard]] const BottleneckShape& shape() const;

  struct Result {
    Tensor dst;
    BottleneckSaved saved;
  };
  [[nodiscard]] Result forward(const Tensor& src, const BottleneckParams& params);
  [[nodiscard]] BottleneckGradients backward(const Tensor& diff_dst, const BottleneckSaved& saved,
                                             const BottleneckParams& params, bool wants_src);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy::kernels
