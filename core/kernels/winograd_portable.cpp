// Winograd convolution, compiled for any CPU.
#include "core/kernels/winograd_lanes.h"

namespace branchy::kernels {

const WinogradKernels& winograd_portable(std::int64_t lanes) {
  return lanes == 16 ? WinogradLanes<16>::kKernels : WinogradLanes<8>::kKernels;
}

}  // namespace branchy::kernels
