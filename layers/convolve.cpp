#include "layers/convolve.h"

#include <utility>
#include <vector>

namespace branchy {

// d src = transposed convolution of d dst; d weight = correlation of src and d dst; d bias = d dst
// summed over samples and pixels (Dumoulin, Visin 2016). A transposed convolution is the adjoint:
// d src = convolution of d dst, d weight = correlation of d dst and src.
Variable convolve(std::string_view operation, const dnn::ConvolutionSpec& spec, const Variable& src,
                  const Variable& weight, const Variable& bias,
                  PrimitiveCache<dnn::Convolution>& primitives) {
  const auto conv = primitives.get([&](const dnn::Convolution& c) { return c.spec() == spec; },
                                   [&] { return dnn::Convolution(spec); });
  Tensor dst = conv->forward(src.value(), weight.value(), spec.bias ? bias.value() : Tensor());
  std::vector<Variable> inputs{src, weight};
  if (spec.bias) inputs.push_back(bias);
  return record(operation, std::move(dst), inputs,
                [conv, src_value = src.value(), weight_value = weight.value()](
                    const Tensor& diff_dst, Wanted wanted) {
                  std::vector<Tensor> diffs(conv->spec().bias ? 3 : 2);
                  if (wanted[1] || wanted[2]) {
                    auto gradients = conv->backward_weights(src_value, diff_dst);
                    diffs[1] = std::move(gradients.weights);
                    if (conv->spec().bias) diffs[2] = std::move(gradients.bias);
                  }
                  if (wanted[0]) diffs[0] = conv->backward_data(diff_dst, weight_value);
                  return diffs;
                });
}

}  // namespace branchy
