// Linear layer for weights too large for a cache: read once for all samples, as floats or halves.
#pragma once

#include <cstdint>
#include <span>

#include "core/buffer_pool.h"
#include "core/kernels/batch_norm_kernels.h"

namespace branchy::kernels {

/// dst [rows,out] = clip(src [rows,in] weights^T + bias). Products are summed in the order of `in`,
/// so a sample's bits depend neither on the batch nor on the number of threads, and halves that
/// hold the same weights give the same bits as floats.
struct LinearPanels {
  std::int64_t lanes = 16;
  std::int64_t rows = 0, in = 0, out = 0;
  const void* weights = nullptr;  ///< from `linear_panels_weights` or `linear_panels_halves`
  bool halves = false;
  const float* bias = nullptr;  ///< [num_panels() * columns()], aligned to the lanes
  Clip clip{};

  [[nodiscard]] std::int64_t columns() const { return 2 * lanes; }  ///< of a panel
  [[nodiscard]] std::int64_t num_panels() const { return (out + columns() - 1) / columns(); }
  /// Floats that a thread needs for itself.
  [[nodiscard]] std::int64_t scratch() const { return rows * columns(); }
};

/// Whether every value is one of half precision (core/half.h).
[[nodiscard]] bool are_halves(std::span<const float> values);
/// Weights [out,in] as panels of columns: [panel][in][2 lanes], padded with zeros.
[[nodiscard]] Buffer linear_panels_weights(const float* weights, std::int64_t out, std::int64_t in,
                                           std::int64_t lanes);
/// The same as halves, which must hold them exactly.
[[nodiscard]] Buffer linear_panels_halves(const float* weights, std::int64_t out, std::int64_t in,
                                          std::int64_t lanes);
/// `scratch` has `task.scratch()` floats for each of `threads`.
void linear_panels(const LinearPanels& task, std::int64_t threads, const float* src, float* dst,
                   float* scratch);

}  // namespace branchy::kernels
