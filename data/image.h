// Image files: decoding by stb_image within stated limits, and resizing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace branchy {

/// Pixels of one image in order R, G, B plane, each row-major: [3,height,width].
struct Image {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<std::uint8_t> pixels;
};

/// Checked before anything is allocated for the pixels.
struct ImageLimits {
  std::int64_t max_file_bytes = std::int64_t{64} << 20;
  std::int64_t max_side = 16'384;
  std::int64_t max_pixels = std::int64_t{1} << 26;
};

/// Decodes JPEG, PNG, BMP or PPM/PGM; grey becomes three equal planes, transparency is dropped, 16
/// bits become 8, CMYK and YCCK with Adobe's marker become RGB, and a photograph is turned upright
/// by its EXIF orientation (torchvision leaves it lying). Throws DataError, beginning with `place`,
/// for another format, CMYK without the marker, a damaged file, or a size beyond `limits`.
[[nodiscard]] Image decode_image(std::span<const std::uint8_t> bytes, std::string_view place,
                                 const ImageLimits& limits = {});
/// The bytes of an image file. Throws IoError when it cannot be read, DataError when it is larger
/// than `limits` allow.
[[nodiscard]] std::vector<std::uint8_t> read_image_bytes(const std::filesystem::path& path,
                                                         const ImageLimits& limits = {});
/// decode_image() of read_image_bytes().
[[nodiscard]] Image read_image(const std::filesystem::path& path, const ImageLimits& limits = {});

/// Bilinear with antialiasing when shrinking, the aspect ratio ignored: torchvision's
/// resize((height, width)) of a Pillow image, pixel by pixel. Throws ConfigError unless both are 1
/// to 16384.
[[nodiscard]] Image resize_image(const Image& image, std::int64_t height, std::int64_t width);

}  // namespace branchy
