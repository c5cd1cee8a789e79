// Batch normalisation compiled for any CPU.
#include "core/kernels/batch_norm_lanes.h"

namespace branchy::kernels {

const BatchNormKernels& batch_norm_portable(std::int64_t lanes) {
  return lanes == 16 ? BatchNormLanes<16>::kKernels : BatchNormLanes<8>::kKernels;
}

}  // namespace branchy::kernels
