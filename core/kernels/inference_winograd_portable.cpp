// Winograd inference, compiled for any CPU.
#include "core/kernels/inference_winograd_lanes.h"

namespace branchy::kernels {

const InferenceWinogradKernels& inference_winograd_portable(std::int64_t lanes) {
  constexpr auto kSet = InstructionSet::kPortable;
  return lanes == 16 ? InferenceWinogradLanes<16, kSet>::kKernels
                     : InferenceWinogradLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
