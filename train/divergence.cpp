#include "train/divergence.h"

#include "core/kernels/sgd_step.h"

namespace branchy {

std::string first_non_finite(MultiExitNetwork& network, const std::vector<Variable>& features) {
  const NoGradGuard no_grad;
  const Pass pass{.mode = Mode::kTrain};
  for (const StateEntry& entry : network.state())
    if (!entry.is_buffer && !kernels::all_finite(entry.variable->value()))
      return "parameter " + entry.name;
  const std::vector<std::int64_t> depths = network.feature_depths();
  const auto num_blocks = static_cast<std::int64_t>(network.blocks().size());
  Variable feature;
  for (std::int64_t depth = depths.front(), next = 0; depth <= num_blocks; ++depth) {
    if (next < std::ssize(depths)) {
      depth = depths[static_cast<std::size_t>(next)];
      feature = features[static_cast<std::size_t>(next++)];
      if (!kernels::all_finite(feature.value()))
        return depth > 0 ? "the values of the frozen trunk" : "the images of the batch";
    } else {
      const auto& block = network.blocks()[static_cast<std::size_t>(depth - 1)];
      feature = block.layer->forward(feature, pass);
      if (!kernels::all_finite(feature.value())) return "the output of " + block.name;
    }
    for (const auto& exit : network.exits())
      if (exit.after_block == depth &&
          !kernels::all_finite(exit.layer->forward(feature, pass).value()))
        return "the logits of " + exit.name;
  }
  return "the loss itself";
}

}  // namespace branchy
