#include "layers/add.h"

#include "core/kernels/elementwise.h"

namespace branchy {

// Both inputs get the gradient of the sum.
Variable add(const Variable& a, const Variable& b) {
  return record("add", kernels::add(a.value(), b.value()), {a, b},
                [](const Tensor& diff_dst, Wanted /*wanted*/) {
                  return std::vector<Tensor>{diff_dst, diff_dst};
                });
}

// As add, where the output passed the ReLU.
Variable add_relu(const Variable& a, const Variable& b) {
  Tensor dst = kernels::add_relu(a.value(), b.value());
  return record("add_relu", dst, {a, b}, [dst](const Tensor& diff_dst, Wanted /*wanted*/) {
    const Tensor diff = kernels::relu_backward(diff_dst, dst);
    return std::vector<Tensor>{diff, diff};
  });
}

}  // namespace branchy
