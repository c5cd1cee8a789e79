#include "data/orientation.h"

#include <string_view>
#include <utility>

namespace branchy {

namespace {

using Bytes = std::span<const std::uint8_t>;

std::string_view text_at(Bytes bytes, std::size_t at, std::size_t length) {
  if (at > bytes.size() || length > bytes.size() - at) return {};
  return {reinterpret_cast<const char*>(bytes.data()) + at, length};
}

/// An unsigned number of `count` bytes; 0 outside the bytes.
std::size_t number_at(Bytes bytes, std::size_t at, std::size_t count, bool big_endian) {
  if (at > bytes.size() || count > bytes.size() - at) return 0;
  std::size_t number = 0;
  for (std::size_t i = 0; i < count; ++i)
    number = 256 * number + bytes[at + (big_endian ? i : count - 1 - i)];
  return number;
}

/// The tag of the first directory of a TIFF structure.
int tiff_orientation(Bytes tiff) {
  constexpr std::size_t kEntryBytes = 12;
  constexpr std::size_t kOrientationTag = 0x0112;
  constexpr std::size_t kShortType = 3;
  const bool big_endian = text_at(tiff, 0, 2) == "MM";
  if (!big_endian && text_at(tiff, 0, 2) != "II") return 1;
  const std::size_t directory = number_at(tiff, 4, 4, big_endian);
  const std::size_t entries = number_at(tiff, directory, 2, big_endian);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * kEntryBytes;
    if (at + kEntryBytes > tiff.size()) return 1;
    if (number_at(tiff, at, 2, big_endian) != kOrientationTag) continue;
    const std::size_t value = number_at(tiff, at + 8, 2, big_endian);
    const bool is_sound = number_at(tiff, at + 2, 2, big_endian) == kShortType && value >= 1;
    return is_sound && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

int jpeg_orientation(Bytes bytes) {
  using namespace std::string_view_literals;
  constexpr std::string_view kExif = "Exif\0\0"sv;
  std::size_t at = 2;
  while (at + 4 <= bytes.size()) {
    const std::uint8_t marker = bytes[at + 1];
    if (bytes[at] != 0xFF || marker == 0xFF) {
      ++at;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) return 1;  // pixels begin, or nothing follows
    const std::size_t length = number_at(bytes, at + 2, 2, true);
    if (length < 2 || length > bytes.size() - at - 2) return 1;
    const Bytes segment = bytes.subspan(at + 4, length - 2);
    if (marker == 0xE1 && text_at(segment, 0, kExif.size()) == kExif)
      return tiff_orientation(segment.subspan(kExif.size()));
    at += 2 + length;
  }
  return 1;
}

int png_orientation(Bytes bytes) {
  constexpr std::size_t kFrame = 12;  // length, type and checksum
  std::size_t at = 8;
  while (bytes.size() >= kFrame && at <= bytes.size() - kFrame) {
    const std::size_t length = number_at(bytes, at, 4, true);
    if (length > bytes.size() - kFrame - at) return 1;
    if (text_at(bytes, at + 4, 4) == "eXIf") return tiff_orientation(bytes.subspan(at + 8, length));
    at += kFrame + length;
  }
  return 1;
}

}  // namespace

int exif_orientation(Bytes bytes) {
  if (bytes.size() < 2) return 1;
  if (bytes[0] == 0xFF && bytes[1] == 0xD8) return jpeg_orientation(bytes);
  return bytes[0] == 0x89 ? png_orientation(bytes) : 1;
}

Image turn_upright(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const bool swaps = orientation >= 5;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image turned{.height = swaps ? image.width : image.height,
               .width = swaps ? image.height : image.width,
               .pixels = std::vector<std::uint8_t>(image.pixels.size())};
  std::size_t out = 0;
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t y = 0; y < turned.height; ++y)
      for (std::int64_t x = 0; x < turned.width; ++x) {
        const std::int64_t row = swaps ? x : y;
        const std::int64_t column = swaps ? y : x;
        const std::int64_t from_row = from_bottom ? image.height - 1 - row : row;
        const std::int64_t from_column = from_right ? image.width - 1 - column : column;
        turned.pixels[out++] = image.pixels[static_cast<std::size_t>(
            (c * image.height + from_row) * image.width + from_column)];
      }
  return turned;
}

}  // namespace branchy
