// The table of inner loops that core/kernels/inference_winograd.cpp chooses from by CPU.
#pragma once

#include <cstdint>

#include "core/kernels/inference_winograd.h"

namespace branchy::kernels {

/// A share of the work: tiles (numbered over all images, row by row) and panels of weights.
struct WinogradShare {
  std::int64_t first_tile, num_tiles;  ///< at most task.group()
  std::int64_t first_panel, end_panel;
};

struct InferenceWinogradKernels {
  void (*compute)(const InferenceWinograd& task, const WinogradShare& share, const float* src,
                  float* dst, float* scratch);
};

/// For blocks of 8 or 16 lanes. The first runs everywhere, the others need their CPUs.
[[nodiscard]] const InferenceWinogradKernels& inference_winograd_portable(std::int64_t lanes);
[[nodiscard]] const InferenceWinogradKernels& inference_winograd_avx2(std::int64_t lanes);
[[nodiscard]] const InferenceWinogradKernels& inference_winograd_avx512(std::int64_t lanes);

}  // namespace branchy::kernels
