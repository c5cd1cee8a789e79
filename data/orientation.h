// EXIF orientation: how a camera was held, and the image turned upright.
#pragma once

#include <cstdint>
#include <span>

#include "data/image.h"

namespace branchy {

/// The orientation (1 to 8, EXIF 2.3 section 4.6.4 tag 0x0112) that a JPEG (APP1 segment) or PNG
/// (eXIf chunk) file states; 1, upright, when it states none or something damaged.
[[nodiscard]] int exif_orientation(std::span<const std::uint8_t> bytes);

/// The image as it is to be seen: 1 keeps it, 2 to 4 mirror or turn it by 180 degrees, 5 to 8 swap
/// its sides as well.
[[nodiscard]] Image turn_upright(Image image, int orientation);

}  // namespace branchy
