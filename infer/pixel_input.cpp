#include "infer/pixel_input.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "data/transform.h"

namespace branchy {

Tensor normalize_pixels(std::span<const std::uint8_t> pixels, const Shape& shape,
                        const ModelInfo& info) {
  if (shape.rank() != 4 || shape.dim(1) != 3 || std::ssize(pixels) != shape.size()) {
    throw ShapeError(fmt::format("[pixels] {} bytes for shape {}, expected [N,3,H,W]",
                                 pixels.size(), shape.to_string()));
  }
  Tensor dst(shape);
  const std::span<float> values = dst.mutable_data();
  const auto row = static_cast<std::size_t>(shape.size() / std::max<std::int64_t>(shape[0], 1));
  for (std::size_t start = 0; start < pixels.size(); start += row) {
    normalize({.mean = info.mean, .std = info.std}, pixels.subspan(start, row),
              values.subspan(start, row));
  }
  return dst;
}

}  // namespace branchy
