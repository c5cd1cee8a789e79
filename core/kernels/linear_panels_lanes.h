// The inner loops of a linear layer in panels. Compiled once per instruction set by
// linear_panels_*.cpp; nobody else includes it.
#pragma once

#include <algorithm>

#include "core/kernels/linear_panels_kernels.h"
#include "core/kernels/panel_product_lanes.h"

namespace branchy::kernels {

namespace {  // every including file is compiled for other CPUs and must keep its own copies

template <int kLanes, InstructionSet kSet>
struct LinearPanelsLanes {
  using Product = PanelProductLanes<kLanes, kSet>;
  using Lanes = typename Product::Lanes;
  static constexpr std::int64_t kColumns = 2 * kLanes;

  template <typename Weight>
  static void multiply(const LinearPanels& task, std::int64_t panel, const float* src,
                       float* products) {
    const auto* weights = static_cast<const Weight*>(task.weights) + panel * task.in * kColumns;
    Product::template product<2, false>({src, task.in, kLanes}, task.rows, weights, task.in,
                                        {products, kColumns, kLanes}, false);
  }

  static void compute(const LinearPanels& task, std::int64_t panel, const float* src, float* dst,
                      float* scratch) {
    if (task.halves)
      multiply<std::uint16_t>(task, panel, src, scratch);
    else
      multiply<float>(task, panel, src, scratch);
    const std::int64_t first = panel * kColumns;
    const std::int64_t count = std::min(kColumns, task.out - first);
    const Lanes low = task.clip.low - Lanes{};
    const Lanes high = task.clip.high - Lanes{};
    for (std::int64_t row = 0; row < task.rows; ++row) {
      float* products = scratch + row * kColumns;
      for (int v = 0; v < 2; ++v) {
        Lanes& y = *reinterpret_cast<Lanes*>(products + v * kLanes);
        y += Product::load(task.bias + first + v * kLanes);
        y = y < low ? low : y;  // in this order, so that a NaN stays one
        y = y > high ? high : y;
      }
      std::copy_n(products, count, dst + row * task.out + first);
    }
  }

  static constexpr LinearPanelsKernels kKernels{compute};
};

}  // namespace

}  // namespace branchy::kernels
