// Pixels to network input, the same on both sides of a split.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor.h"
#include "layers/model_file.h"

namespace branchy {

/// `pixels` 0..255, row-major of `shape` [N,3,H,W], to (pixel / 255 - mean) / std by the model's
/// own constants. Throws ShapeError when count and shape disagree or there are not three channels.
[[nodiscard]] Tensor normalize_pixels(std::span<const std::uint8_t> pixels, const Shape& shape,
                                      const ModelInfo& info);

}  // namespace branchy
