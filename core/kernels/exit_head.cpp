#include "core/kernels/exit_head.h"

#include <algorithm>

#include "core/kernels/exit_head_kernels.h"
#include "core/kernels/instruction_sets.h"

namespace branchy::kernels {

namespace {

// Values read and products made; below, waking a second thread costs more than it saves.
constexpr std::int64_t kSerialBelow = 1 << 18;

std::int64_t work_of(const ExitHead& task) {
  const std::int64_t values = task.blocks() * task.lanes * task.height * task.width;
  return task.num * (values + task.vectors() * task.lanes * task.out);
}

}  // namespace

Buffer exit_head_weights(const float* weights, const ExitHead& task) {
  const std::int64_t pixels = task.pooled_pixels();
  const std::int64_t row = task.vectors() * task.lanes;
  Buffer packed(static_cast<std::size_t>(task.out * row) * sizeof(float));
  std::fill_n(packed.floats(), task.out * row, 0.0F);
  for (std::int64_t o = 0; o < task.out; ++o)
    for (std::int64_t c = 0; c < task.channels; ++c)
      for (std::int64_t p = 0; p < pixels; ++p) {
        const std::int64_t vector = c / task.lanes * pixels + p;
        packed.floats()[o * row + vector * task.lanes + c % task.lanes] = *weights++;
      }
  return packed;
}

void exit_head(const ExitHead& task, std::int64_t threads, const float* src, float* logits,
               float* scratch) {
  const auto& kernels = best_kernels<ExitHeadKernels>(task.lanes, exit_head_portable,
                                                      exit_head_avx2, exit_head_avx512);
  constexpr std::int64_t kGroup = 4;  // blocks that are pooled, logits that are made together
  const std::int64_t block_groups = (task.blocks() + kGroup - 1) / kGroup;
  const std::int64_t logit_groups = (task.out + kGroup - 1) / kGroup;
  const std::int64_t pooled = task.vectors() * task.lanes;
#pragma omp parallel num_threads(static_cast <int>(threads)) if (threads > 1 && \
                                                                 work_of(task) > kSerialBelow)
  {
#pragma omp for schedule(static)
    for (std::int64_t item = 0; item < task.num * block_groups; ++item) {
      const std::int64_t n = item / block_groups;
      const std::int64_t first = item % block_groups * kGroup;
      kernels.pool(task, std::min(kGroup, task.blocks() - first),
                   src + n * task.src.image + first * task.src.block,
                   scratch + n * pooled + first * task.pooled_pixels() * task.lanes);
    }
#pragma omp for schedule(static)
    for (std::int64_t item = 0; item < logit_groups * task.num; ++item) {  // a group's weights stay
      const std::int64_t n = item % task.num;
      const std::int64_t first = item / task.num * kGroup;
      kernels.multiply(task, first, std::min(kGroup, task.out - first), scratch + n * pooled,
                       logits + n * task.out + first);
    }
  }
}

}  // namespace branchy::kernels
