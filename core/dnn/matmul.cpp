#include "core/dnn/matmul.h"

#include <cblas.h>
#include <fmt/core.h>

#include <dnnl.hpp>

#include "core/buffer_pool.h"
#include "core/error.h"
#include "core/kernels/transpose.h"
#include "core/step_profile.h"

namespace branchy::dnn {

namespace {

constexpr int kOpenBlasOpenMp = 2;  // openblas_get_parallel(): 0 sequential, 1 pthread, 2 OpenMP

/// Row-major dst [m, n] = a [m, k] b [k, n], either transposed.
void sgemm(bool ta, const float* a, std::int64_t lda, bool tb, const float* b, std::int64_t ldb,
           std::int64_t m, std::int64_t n, std::int64_t k, float* dst) {
  // oneDNN chooses by instruction set; OpenBLAS 0.3.21 chooses by CPU model and takes its SSE3
  // kernels on models newer than itself.
  const dnnl::status status =
      dnnl::sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1.0F, a, lda, b, ldb, 0.0F, dst, n);
  BRANCHY_DCHECK(status == dnnl::status::success);
}

/// a [m, k] times b [n, k] transposed, as (b a^T)^T: oneDNN 2.6 takes twice as long for a few rows
/// times a large transposed matrix as for the matrix itself times as few columns (128 x 4096 by
/// 4096 x 4096, two cores: 42 and 20 ms), and turning both small matrices costs next to nothing.
void multiply_by_transposed(const float* a, const float* b, std::int64_t m, std::int64_t n,
                            std::int64_t k, float* dst) {
  const Buffer turned(static_cast<std::size_t>((k + n) * m) * sizeof(float));
  float* product = turned.floats() + k * m;
  kernels::transpose(a, m, k, turned.floats());
  sgemm(false, b, k, false, turned.floats(), m, n, m, k, product);
  kernels::transpose(product, n, m, dst);
}

}  // namespace

Tensor matmul(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b) {
  const bool ta = transpose_a == Transpose::kYes;
  const bool tb = transpose_b == Transpose::kYes;
  const std::int64_t m = a.dim(ta ? 1 : 0);
  const std::int64_t k = a.dim(ta ? 0 : 1);
  const std::int64_t n = b.dim(tb ? 0 : 1);
  if (b.dim(tb ? 1 : 0) != k)
    throw ShapeError(fmt::format("[matmul] {}{} times {}{}: inner sizes differ",
                                 a.shape().to_string(), ta ? "^T" : "", b.shape().to_string(),
                                 tb ? "^T" : ""));
  const TimedWork work(StepWork::kLinear,
                       {.flops = 2.0 * static_cast<double>(m) * static_cast<double>(n * k),
                        .bytes = 4.0 * static_cast<double>(m * k + k * n + m * n)});
  Tensor product(Shape{m, n});
  float* dst = product.mutable_data().data();
  if (!ta && tb && m < n)
    multiply_by_transposed(a.data().data(), b.data().data(), m, n, k, dst);
  else
    sgemm(ta, a.data().data(), a.dim(1), tb, b.data().data(), b.dim(1), m, n, k, dst);
  return product;
}

void set_blas_threads(std::int64_t count) {
  if (openblas_get_parallel() != kOpenBlasOpenMp)
    throw IoError(
        "[threads] the loaded OpenBLAS is not its OpenMP build, whose threads oneDNN shares; "
        "install libopenblas-openmp-dev and remove other builds from LD_LIBRARY_PATH");
  openblas_set_num_threads(static_cast<int>(count));
}

}  // namespace branchy::dnn
