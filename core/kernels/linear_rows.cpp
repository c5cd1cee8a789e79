#include "core/kernels/linear_rows.h"

#include <algorithm>
#include <cstring>

#include "core/kernels/parallel.h"

namespace branchy::kernels {

namespace {

constexpr std::int64_t kLanes = 16;            // one AVX-512 register, two of AVX2
constexpr std::int64_t kOutputs = 4;           // share the loads of a row
constexpr std::int64_t kMacsSerial = 1 << 17;  // below, a parallel region costs more than it saves

using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

/// `count` <= kOutputs results of one row: lane-wise sums, then the tail, then the lanes pairwise.
BRANCHY_SIMD_CLONES void dot_block(const float* row, const float* weights, std::int64_t in,
                                   std::int64_t count, float* results) {
  Lanes sums[kOutputs] = {};
  const std::int64_t whole = in / kLanes * kLanes;
  if (count == kOutputs) {
    for (std::int64_t k = 0; k < whole; k += kLanes) {
      Lanes x;
      std::memcpy(&x, row + k, sizeof x);
      for (std::int64_t o = 0; o < kOutputs; ++o) {
        Lanes w;
        std::memcpy(&w, weights + o * in + k, sizeof w);
        sums[o] += x * w;
      }
    }
  } else {
    for (std::int64_t o = 0; o < count; ++o)
      for (std::int64_t k = 0; k < whole; k += kLanes) {
        Lanes x;
        Lanes w;
        std::memcpy(&x, row + k, sizeof x);
        std::memcpy(&w, weights + o * in + k, sizeof w);
        sums[o] += x * w;
      }
  }
  for (std::int64_t o = 0; o < count; ++o) {
    float lanes[kLanes];
    std::memcpy(lanes, &sums[o], sizeof lanes);
    for (std::int64_t k = whole; k < in; ++k) lanes[k - whole] += row[k] * weights[o * in + k];
    for (std::int64_t half = kLanes / 2; half > 0; half /= 2)
      for (std::int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    results[o] = lanes[0];
  }
}

void compute(const LinearRows& task, std::int64_t row, std::int64_t block) {
  const std::int64_t first = block * kOutputs;
  const std::int64_t count = std::min(kOutputs, task.out - first);
  float* dst = task.dst + row * task.out + first;
  dot_block(task.src + row * task.in, task.weights + first * task.in, task.in, count, dst);
  if (task.bias == nullptr) return;
  for (std::int64_t o = 0; o < count; ++o) dst[o] += task.bias[first + o];
}

}  // namespace

void linear_rows(const LinearRows& task) {
  const std::int64_t num_blocks = (task.out + kOutputs - 1) / kOutputs;
  const std::int64_t items = num_blocks * task.rows;  // by block, so that its weights stay near
#pragma omp parallel for schedule(static) if (task.rows * task.in * task.out > kMacsSerial)
  for (std::int64_t item = 0; item < items; ++item)
    compute(task, item % task.rows, item / task.rows);
}

}  // namespace branchy::kernels
