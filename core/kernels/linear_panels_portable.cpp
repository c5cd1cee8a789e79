// Linear layer in panels, compiled for any CPU.
#include "core/kernels/linear_panels_lanes.h"

namespace branchy::kernels {

const LinearPanelsKernels& linear_panels_portable(std::int64_t lanes) {
  constexpr auto kSet = InstructionSet::kPortable;
  return lanes == 16 ? LinearPanelsLanes<16, kSet>::kKernels : LinearPanelsLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
