#include "core/kernels/inference_winograd.h"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "core/kernels/inference_winograd_kernels.h"
#include "core/kernels/instruction_sets.h"

namespace branchy::kernels {

namespace {

constexpr std::int64_t kSide = 6;

/// G g G^T of one 3x3 kernel.
void transform_kernel(const float* kernel, double (&points)[kSide][kSide]) {
  const double root = std::sqrt(2.0);
  const double matrix[kSide][3] = {{1.0, 0.0, 0.0},
                                   {-2.0 / 3, -root / 3, -1.0 / 3},
                                   {-2.0 / 3, root / 3, -1.0 / 3},
                                   {1.0 / 6, root / 6, 1.0 / 3},
                                   {1.0 / 6, -root / 6, 1.0 / 3},
                                   {0.0, 0.0, 1.0}};
  double half[kSide][3] = {};
  for (int i = 0; i < kSide; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 3; ++k)
        half[i][j] += matrix[i][k] * static_cast<double>(kernel[k * 3 + j]);
  for (int i = 0; i < kSide; ++i)
    for (int j = 0; j < kSide; ++j) {
      points[i][j] = 0.0;
      for (int k = 0; k < 3; ++k) points[i][j] += half[i][k] * matrix[j][k];
    }
}

}  // namespace

std::int64_t inference_lanes() { return has_avx512() ? 16 : 8; }

Buffer winograd_weights(const float* weights, std::int64_t out_channels, std::int64_t channels,
                        std::int64_t lanes) {
  constexpr std::int64_t kPoints = InferenceWinograd::kPoints;
  Buffer packed(static_cast<std::size_t>(kPoints * out_channels * channels) * sizeof(float));
  const std::int64_t blocks = out_channels / lanes;
  for (std::int64_t o = 0; o < out_channels; ++o) {
    const std::int64_t block = o / lanes;
    const std::int64_t first = block / 2 * 2;  // of the panel
    const std::int64_t columns = std::min<std::int64_t>(2, blocks - first) * lanes;
    float* panel = packed.floats() + first * kPoints * channels * lanes;
    for (std::int64_t c = 0; c < channels; ++c) {
      double points[kSide][kSide];
      transform_kernel(weights + (o * channels + c) * 9, points);
      for (std::int64_t p = 0; p < kPoints; ++p)
        panel[(p * channels + c) * columns + o - first * lanes] =
            static_cast<float>(points[p / kSide][p % kSide]);
    }
  }
  return packed;
}

void inference_winograd(const InferenceWinograd& task, std::int64_t threads, const float* src,
                        float* dst, float* scratch) {
  const auto compute =
      best_kernels<InferenceWinogradKernels>(task.lanes, inference_winograd_portable,
                                             inference_winograd_avx2, inference_winograd_avx512)
          .compute;
  const std::int64_t tiles = task.num_tiles();
  const std::int64_t panels = task.num_panels();
  // Threads share the tiles; where these are few, also the output channels: the source is then
  // transformed by each of them.
  const std::int64_t parts = std::min(threads, std::max<std::int64_t>(1, tiles / 8));
  const std::int64_t most = std::min(task.group(), (tiles + parts - 1) / parts);
  const std::int64_t groups = (tiles + most - 1) / most;
  const std::int64_t splits = groups >= threads ? 1 : std::min(panels, threads / groups);
#pragma omp parallel for schedule(static) num_threads(static_cast <int>(threads)) if (threads > 1)
  for (std::int64_t item = 0; item < groups * splits; ++item) {
    const std::int64_t group = item / splits;
    const std::int64_t split = item % splits;
    const WinogradShare share{group * most, std::min(most, tiles - group * most),
                              panels * split / splits, panels * (split + 1) / splits};
    compute(task, share, src, dst, scratch + omp_get_thread_num() * task.scratch());
  }
}

}  // namespace branchy::kernels
