// Linear layer for the small classifiers of exits: a sample's bits depend on that sample alone.
#pragma once

#include <cstdint>

namespace branchy::kernels {

/// dst [rows,out] = src [rows,in] weights^T [out,in] + bias [out] (may be null); all row-major.
struct LinearRows {
  const float* src = nullptr;
  const float* weights = nullptr;
  const float* bias = nullptr;
  float* dst = nullptr;
  std::int64_t rows = 0, in = 0, out = 0;
};

/// Every product is summed in an order that `in` alone fixes, so a sample gets the same bits in a
/// batch of any size and with any number of threads (a gemm does not promise that). Meant for
/// weights that fit into the cache; beyond, a gemm reuses them better.
void linear_rows(const LinearRows& task);

}  // namespace branchy::kernels
