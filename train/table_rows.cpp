#include "train/table_rows.h"

#include <algorithm>

namespace branchy {

Tensor take_rows(const Tensor& table, std::span<const std::int64_t> rows) {
  Tensor result(table.shape().with_batch(std::ssize(rows)));
  const auto columns = static_cast<std::size_t>(table.dim(1));
  auto to = result.mutable_data().begin();
  for (const std::int64_t row : rows) {
    const auto from = table.data().subspan(static_cast<std::size_t>(row) * columns, columns);
    to = std::copy(from.begin(), from.end(), to);
  }
  return result;
}

}  // namespace branchy
