// The number of rows that a batch is computed with.
#pragma once

#include <algorithm>
#include <cstdint>

namespace branchy {

/// `rows` >= 1 rounded up to 1, 2, 3, 4, 6, 8, 12, 16, 24 ... but not beyond `limit`: a plan keeps
/// primitives for each size, so there must be few, and at most a third of the rows is padding.
[[nodiscard]] inline std::int64_t padded_batch(std::int64_t rows, std::int64_t limit) {
  std::int64_t power = 1;
  while (power < rows) power *= 2;
  const std::int64_t between = power / 4 * 3;
  const std::int64_t padded = between >= rows ? between : power;
  return std::max(rows, std::min(padded, limit));
}

}  // namespace branchy
