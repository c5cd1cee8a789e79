// Rows of a table [N, columns].
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor.h"

namespace branchy {

/// A copy of the rows at these positions, in their order; all within 0 .. N-1.
[[nodiscard]] Tensor take_rows(const Tensor& table, std::span<const std::int64_t> rows);

}  // namespace branchy
