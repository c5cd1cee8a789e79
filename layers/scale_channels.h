// Scaling of channels, the last step of squeeze and excitation.
#pragma once

#include "core/variable.h"

namespace branchy {

/// src [N,C,H,W] times scale [N,C] (or [N,C,1,1]), one factor a sample and channel. Throws
/// ShapeError when they do not fit.
[[nodiscard]] Variable scale_channels(const Variable& src, const Variable& scale);

}  // namespace branchy
