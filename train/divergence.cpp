#include "train/divergence.h"

#include "core/kernels/sgd_step.h"

namespace branchy {

std::string first_non_finite(MultiExitNetwork& network, const Tensor& images) {
  const NoGradGuard no_grad;
  for (const StateEntry& entry : network.state())
    if (!entry.is_buffer && !kernels::all_finite(entry.variable->value()))
      return "parameter " + entry.name;
  if (!kernels::all_finite(images)) return "the images of the batch";
  Variable feature(images);
  std::int64_t depth = 0;
  for (const auto& block : network.blocks()) {
    feature = block.layer->forward(feature, {.mode = Mode::kTrain});
    if (!kernels::all_finite(feature.value())) return "the output of " + block.name;
    ++depth;
    for (const auto& exit : network.exits())
      if (exit.after_block == depth &&
          !kernels::all_finite(exit.layer->forward(feature, {.mode = Mode::kTrain}).value()))
        return "the logits of " + exit.name;
  }
  return "the loss itself";
}

}  // namespace branchy
