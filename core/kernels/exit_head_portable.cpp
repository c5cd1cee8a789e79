// An exit's head compiled for any CPU.
#include "core/kernels/exit_head_lanes.h"

namespace branchy::kernels {

const ExitHeadKernels& exit_head_portable(std::int64_t lanes) {
  return lanes == 16 ? ExitHeadLanes<16>::kKernels : ExitHeadLanes<8>::kKernels;
}

}  // namespace branchy::kernels
