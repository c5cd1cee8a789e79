// Convolution and transposed convolution for training: forward, data gradient, weight gradient.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/dnn/convolution_spec.h"
#include "core/tensor.h"

namespace branchy::dnn {

/// The primitives of one specification, made once: descriptors, packed weights and reorders are
/// kept. Each of the three is computed by the method of choose_convolution_method() and takes the
/// layout that suits it best; tensors are reordered only where two of them differ. Not thread-safe.
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
  /// Names of the implementations chosen (forward, data, weights), e.g. "jit:avx2" or
  /// "own:winograd".
  [[nodiscard]] std::string implementations() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy::dnn
