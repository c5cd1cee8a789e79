#include "core/kernels/transpose.h"

#include <algorithm>

#include "core/kernels/parallel.h"

namespace branchy::kernels {

namespace {

/// Squares of this side fit, lines of both matrices, into the first cache.
constexpr std::int64_t kSide = 32;

void transpose_square(const float* from, std::int64_t rows, std::int64_t columns,
                      std::int64_t from_stride, std::int64_t to_stride, float* to) {
  for (std::int64_t c = 0; c < columns; ++c)
    for (std::int64_t r = 0; r < rows; ++r) to[c * to_stride + r] = from[r * from_stride + c];
}

}  // namespace

void transpose(const float* from, std::int64_t rows, std::int64_t columns, float* to) {
#pragma omp parallel for collapse(2) schedule(static) if (rows * columns >= kSerialBelow)
  for (std::int64_t c = 0; c < columns; c += kSide)
    for (std::int64_t r = 0; r < rows; r += kSide)
      transpose_square(from + r * columns + c, std::min(kSide, rows - r),
                       std::min(kSide, columns - c), columns, rows, to + c * rows + r);
}

}  // namespace branchy::kernels
