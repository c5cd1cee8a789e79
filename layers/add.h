// The sum of two variables.
#pragma once

#include "core/variable.h"

namespace branchy {

/// a + b, equal shapes.
[[nodiscard]] Variable add(const Variable& a, const Variable& b);

}  // namespace branchy
