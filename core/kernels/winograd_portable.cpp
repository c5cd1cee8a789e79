// Winograd convolution, compiled for any CPU.
#include "core/kernels/winograd_lanes.h"

namespace branchy::kernels {

const WinogradKernels& winograd_portable(std::int64_t lanes) {
  constexpr InstructionSet kSet = InstructionSet::kPortable;
  return lanes == 16 ? WinogradLanes<16, kSet>::kKernels : WinogradLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
