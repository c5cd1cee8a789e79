// Matrix products on row-major tensors, by oneDNN, and the check of the BLAS library.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace branchy::dnn {

enum class Transpose { kNo, kYes };

/// a [M,K] (or [K,M] transposed) times b [K,N] (or [N,K] transposed) -> [M,N].
/// Throws ShapeError when the inner sizes differ.
[[nodiscard]] Tensor matmul(const Tensor& a, Transpose transpose_a, const Tensor& b,
                            Transpose transpose_b);

/// Sets OpenBLAS's thread count; throws IoError when the loaded library is not its OpenMP build.
void set_blas_threads(std::int64_t count);

}  // namespace branchy::dnn
