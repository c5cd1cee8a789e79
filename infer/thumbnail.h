// Thumbnail: a small copy of an image for people to look at.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/shape.h"
#include "data/image.h"

namespace branchy {

/// No side is longer than kLongestSide.
struct Thumbnail {
  static constexpr std::int64_t kLongestSide = 96;
  Image image;
};

/// `pixels` of [1,3,H,W], made smaller by averaging whole squares of pixels: quick, for every image
/// on its way. Images that are small already stay as they are. Throws ShapeError for another shape
/// or count.
[[nodiscard]] Thumbnail make_thumbnail(std::span<const std::uint8_t> pixels, const Shape& shape);

/// `data:image/jpeg;base64,...`, a few kilobytes.
[[nodiscard]] std::string to_data_uri(const Thumbnail& thumbnail);

}  // namespace branchy
