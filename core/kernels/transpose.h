// A row-major matrix with its rows and columns exchanged.
#pragma once

#include <cstdint>

namespace branchy::kernels {

/// from [rows, columns] -> to [columns, rows]; the two do not overlap. On all threads.
void transpose(const float* from, std::int64_t rows, std::int64_t columns, float* to);

}  // namespace branchy::kernels
