// Convolution and transposed convolution for training: forward, data gradient, weight gradient.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/tensor.h"

namespace branchy::dnn {

/// What determines the primitives. src [N,C,H,W]; weights [O, C/groups, K, K], for a transposed
/// convolution [C, O/groups, K, K] (groups 1 only there).
struct ConvolutionSpec {
  Shape src;
  std::int64_t out = 0, kernel = 1, stride = 1, padding = 0, groups = 1;
  bool bias = false, transposed = false;

  friend bool operator==(const ConvolutionSpec&, const ConvolutionSpec&) = default;
};

/// The primitives of one specification, made once: descriptors, packed weights and reorders are
/// kept. Each of the three asks oneDNN for the layout it likes best; tensors are reordered only
/// where two of them differ. Not thread-safe.
class Convolution {
 public:
  explicit Convolution(const ConvolutionSpec& spec);
  ~Convolution();
  Convolution(Convolution&&) noexcept;
  Convolution& operator=(Convolution&&) noexcept;

  [[nodiscard]] const ConvolutionSpec& spec() const;

  /// `bias` may be undefined. Gives [N,O,H',W'].
  [[nodiscard]] Tensor forward(const Tensor& src, const Tensor& weights, const Tensor& bias);
  [[nodiscard]] Tensor backward_data(const Tensor& diff_dst, const Tensor& weights);
  struct WeightGradients {
    Tensor weights;  ///< row-major
    Tensor bias;     ///< undefined without bias
  };
  [[nodiscard]] WeightGradients backward_weights(const Tensor& src, const Tensor& diff_dst);
  /// Names of the implementations chosen (forward, data, weights), e.g. "jit:avx2".
  [[nodiscard]] std::string implementations() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy::dnn
