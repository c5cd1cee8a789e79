#include "core/kernels/linear_panels.h"

#include <omp.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/half.h"
#include "core/kernels/instruction_sets.h"
#include "core/kernels/linear_panels_kernels.h"

namespace branchy::kernels {

namespace {

/// Calls `put(index, weight)` for every element of the panels in their order; padding is 0.
template <class Put>
void for_each_weight(const float* weights, std::int64_t out, std::int64_t in, std::int64_t columns,
                     const Put& put) {
  std::int64_t index = 0;
  for (std::int64_t first = 0; first < out; first += columns)
    for (std::int64_t k = 0; k < in; ++k)
      for (std::int64_t o = first; o < first + columns; ++o)
        put(index++, o < out ? weights[o * in + k] : 0.0F);
}

std::size_t panels_size(std::int64_t out, std::int64_t in, std::int64_t columns) {
  return static_cast<std::size_t>((out + columns - 1) / columns * columns * in);
}

bool is_half(float value) {
  const float size = std::abs(value);
  if (size < 0x1p-14F) {  // a subnormal half is a multiple of 2^-24
    const float steps = size * 0x1p24F;
    return steps == std::trunc(steps);
  }
  // The fraction has 10 bits, 13 less than a float's.
  return size <= 65504.0F && (std::bit_cast<std::uint32_t>(value) & 0x1FFFU) == 0;
}

}  // namespace

bool are_halves(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), is_half);
}

Buffer linear_panels_weights(const float* weights, std::int64_t out, std::int64_t in,
                             std::int64_t lanes) {
  Buffer panels(panels_size(out, in, 2 * lanes) * sizeof(float));
  float* to = panels.floats();
  for_each_weight(weights, out, in, 2 * lanes,
                  [&](std::int64_t index, float weight) { to[index] = weight; });
  return panels;
}

Buffer linear_panels_halves(const float* weights, std::int64_t out, std::int64_t in,
                            std::int64_t lanes) {
  Buffer panels(panels_size(out, in, 2 * lanes) * sizeof(std::uint16_t));
  auto* to = static_cast<std::uint16_t*>(panels.data());
  for_each_weight(weights, out, in, 2 * lanes,
                  [&](std::int64_t index, float weight) { to[index] = float_to_half(weight); });
  return panels;
}

void linear_panels(const LinearPanels& task, std::int64_t threads, const float* src, float* dst,
                   float* scratch) {
  const auto compute = best_kernels<LinearPanelsKernels>(task.lanes, linear_panels_portable,
                                                         linear_panels_avx2, linear_panels_avx512)
                           .compute;
#pragma omp parallel for schedule(static) num_threads(static_cast <int>(threads)) if (threads > 1)
  for (std::int64_t panel = 0; panel < task.num_panels(); ++panel)
    compute(task, panel, src, dst, scratch + omp_get_thread_num() * task.scratch());
}

}  // namespace branchy::kernels
