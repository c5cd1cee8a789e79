#include "train/half_weights.h"

#include <fmt/format.h>

#include <cmath>

#include "core/dnn/inference_linear.h"
#include "core/error.h"
#include "core/half.h"

namespace branchy {

std::int64_t round_large_linear_layers(MultiExitNetwork& network) {
  std::int64_t rounded = 0;
  for (StateEntry& entry : network.state()) {
    const Shape& shape = entry.variable->shape();
    if (shape.rank() != 2 || shape.size() <= dnn::kCachedLinearWeights) continue;
    for (float& weight : entry.variable->mutable_value().mutable_data()) {
      const float half = half_to_float(float_to_half(weight));
      if (std::isinf(half) && std::isfinite(weight))
        throw NumericError(fmt::format(
            "[fp16] {} holds {}, more than a half can; export it without", entry.name, weight));
      weight = half;
    }
    rounded += shape.size();
  }
  return rounded;
}

}  // namespace branchy
