#include "core/dnn/matmul.h"

#include <cblas.h>
#include <fmt/core.h>

#include <dnnl.hpp>

#include "core/error.h"
#include "core/step_profile.h"

namespace branchy::dnn {

namespace {
constexpr int kOpenBlasOpenMp = 2;  // openblas_get_parallel(): 0 sequential, 1 pthread, 2 OpenMP
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
  // oneDNN chooses by instruction set; OpenBLAS 0.3.21 chooses by CPU model and takes its SSE3
  // kernels on models newer than itself.
  const dnnl::status status =
      dnnl::sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1.0F, a.data().data(), a.dim(1),
                  b.data().data(), b.dim(1), 0.0F, product.mutable_data().data(), n);
  BRANCHY_DCHECK(status == dnnl::status::success);
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
