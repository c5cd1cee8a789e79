#include "infer/thumbnail.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/base64.h"
#include "core/error.h"
#include "data/jpeg_images.h"

namespace branchy {
namespace {

constexpr std::int64_t kJpegQuality = 80;

}  // namespace

Thumbnail make_thumbnail(std::span<const std::uint8_t> pixels, const Shape& shape) {
  if (shape.rank() != 4 || shape[0] != 1 || shape[1] != 3 || std::ssize(pixels) != shape.size()) {
    throw ShapeError(fmt::format("[thumbnail] {} bytes for shape {}, expected [1,3,H,W]",
                                 pixels.size(), shape.to_string()));
  }
  const std::int64_t height = shape[2];
  const std::int64_t width = shape[3];
  const std::int64_t longest = std::max(height, width);
  const std::int64_t step = (longest + Thumbnail::kLongestSide - 1) / Thumbnail::kLongestSide;
  Image small{.height = std::max<std::int64_t>(height / step, 1),
              .width = std::max<std::int64_t>(width / step, 1),
              .pixels = {}};
  small.pixels.reserve(static_cast<std::size_t>(3 * small.height * small.width));
  const std::int64_t rows = std::min(step, height);
  const std::int64_t columns = std::min(step, width);
  for (std::int64_t channel = 0; channel < 3; ++channel) {
    for (std::int64_t y = 0; y < small.height; ++y) {
      for (std::int64_t x = 0; x < small.width; ++x) {
        std::int64_t sum = 0;
        for (std::int64_t row = y * step; row < y * step + rows; ++row) {
          const std::int64_t start = (channel * height + row) * width + x * step;
          for (std::int64_t at = start; at < start + columns; ++at)
            sum += pixels[static_cast<std::size_t>(at)];
        }
        small.pixels.push_back(static_cast<std::uint8_t>(sum / (rows * columns)));
      }
    }
  }
  return {std::move(small)};
}

std::string to_data_uri(const Thumbnail& thumbnail) {
  return "data:image/jpeg;base64," + base64(encode_jpeg(thumbnail.image, kJpegQuality));
}

}  // namespace branchy
