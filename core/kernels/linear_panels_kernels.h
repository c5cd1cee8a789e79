// The table of inner loops that core/kernels/linear_panels.cpp chooses from by CPU.
#pragma once

#include <cstdint>

#include "core/kernels/linear_panels.h"

namespace branchy::kernels {

struct LinearPanelsKernels {
  /// One panel's columns of all rows.
  void (*compute)(const LinearPanels& task, std::int64_t panel, const float* src, float* dst,
                  float* scratch);
};

/// For 8 or 16 lanes. The first runs everywhere, the others need their CPUs.
[[nodiscard]] const LinearPanelsKernels& linear_panels_portable(std::int64_t lanes);
[[nodiscard]] const LinearPanelsKernels& linear_panels_avx2(std::int64_t lanes);
[[nodiscard]] const LinearPanelsKernels& linear_panels_avx512(std::int64_t lanes);

}  // namespace branchy::kernels
