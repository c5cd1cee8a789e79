// Layout changes: the only places where blocked and row-major order meet.
#pragma once

#include <cstdint>

#include "core/dnn/tensor_access.h"

namespace branchy::dnn {

/// Floats that a buffer of this layout needs, padding included.
[[nodiscard]] std::int64_t layout_num_floats(const Layout& layout);
/// Copies `from` (of `layout`) to `to` (row-major, `shape.size()` floats).
void reorder_to_plain(const Layout& layout, const Shape& shape, const float* from, float* to);

}  // namespace branchy::dnn
