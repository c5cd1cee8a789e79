#include "layers/concat.h"

#include <vector>

#include "core/kernels/channels.h"

namespace branchy {

// Each part gets its slice of the gradient.
Variable concat(std::span<const Variable> parts) {
  std::vector<Tensor> values;
  std::vector<Shape> shapes;
  for (const Variable& part : parts) {
    values.push_back(part.value());
    shapes.push_back(part.shape());
  }
  return record("concat", kernels::concat_channels(values),
                std::vector<Variable>(parts.begin(), parts.end()),
                [shapes](const Tensor& diff_dst, Wanted /*wanted*/) {
                  return kernels::split_channels(diff_dst, shapes);
                });
}

}  // namespace branchy
