#include "infer/pixel_input.h"

#include <fmt/format.h>

#include <array>

#include "core/error.h"

namespace branchy {

Tensor normalize_pixels(std::span<const std::uint8_t> pixels, const Shape& shape,
                        const ModelInfo& info) {
  if (shape.rank() != 4 || shape.dim(1) != 3 || std::ssize(pixels) != shape.size()) {
    throw ShapeError(fmt::format("[pixels] {} bytes for shape {}, expected [N,3,H,W]",
                                 pixels.size(), shape.to_string()));
  }
  // A table for each channel: 256 divisions instead of one a pixel.
  std::array<std::array<float, 256>, 3> table{};
  for (std::size_t channel = 0; channel < table.size(); ++channel) {
    for (std::size_t value = 0; value < 256; ++value) {
      table[channel][value] =
          (static_cast<float>(value) / 255.0F - info.mean[channel]) / info.std[channel];
    }
  }
  Tensor dst(shape);
  const std::span<float> values = dst.mutable_data();
  const auto plane = static_cast<std::size_t>(shape.dim(2) * shape.dim(3));
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    values[i] = table[(i / plane) % 3][pixels[i]];
  }
  return dst;
}

}  // namespace branchy
