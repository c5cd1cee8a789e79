// The table of inner loops that core/kernels/exit_head.cpp chooses from by CPU.
#pragma once

#include <cstdint>

#include "core/kernels/exit_head.h"

namespace branchy::kernels {

struct ExitHeadKernels {
  /// `count` adjoining blocks (1 .. 4) of an image's channels, the first at `src`, to
  /// [count][pooled pixels][lanes].
  void (*pool)(const ExitHead& task, std::int64_t count, const float* src, float* pooled);
  /// Logits `first` and following, `count` of them (1 .. 4), of an image's pooled values.
  void (*multiply)(const ExitHead& task, std::int64_t first, std::int64_t count,
                   const float* pooled, float* logits);
};

/// For 8 or 16 lanes. The first runs everywhere, the others need their CPUs.
[[nodiscard]] const ExitHeadKernels& exit_head_portable(std::int64_t lanes);
[[nodiscard]] const ExitHeadKernels& exit_head_avx2(std::int64_t lanes);
[[nodiscard]] const ExitHeadKernels& exit_head_avx512(std::int64_t lanes);

}  // namespace branchy::kernels
