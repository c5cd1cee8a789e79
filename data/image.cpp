#include "data/image.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "data/jpeg_tables.h"
#include "data/orientation.h"

namespace branchy {

namespace {

/// What stb_image may ask for at once: a small PNG can otherwise inflate to gigabytes, and a
/// chunk's stated length is allocated before it is read. Set by decode_image() for its own thread,
/// since the library's hook carries no context.
thread_local std::size_t allocation_limit = 0;

void* allocate_pixels(std::size_t bytes) {
  return bytes > allocation_limit ? nullptr : std::malloc(bytes);
}

void* reallocate_pixels(void* block, std::size_t bytes) {
  return bytes > allocation_limit ? nullptr : std::realloc(block, bytes);
}

}  // namespace

}  // namespace branchy

#define STBI_MALLOC(bytes) branchy::allocate_pixels(bytes)
#define STBI_REALLOC(block, bytes) branchy::reallocate_pixels(block, bytes)
#define STBI_FREE(block) std::free(block)
// Few formats, no files: what is left out cannot be attacked.
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_MAX_DIMENSIONS 16384
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_ONLY_BMP
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wold-style-cast"
#include <stb_image.h>
#pragma GCC diagnostic pop

namespace branchy {

namespace {

constexpr std::int64_t kMaxSide = STBI_MAX_DIMENSIONS;

struct FreePixels {
  void operator()(stbi_uc* pixels) const { stbi_image_free(pixels); }
};

constexpr const char* kRemedy = "use a whole JPEG, PNG, BMP or PPM file";

void check_size(std::string_view place, std::int64_t width, std::int64_t height,
                const ImageLimits& limits) {
  const std::int64_t max_side = std::min(limits.max_side, kMaxSide);
  if (width < 1 || height < 1 || width > max_side || height > max_side ||
      width * height > limits.max_pixels)
    throw DataError(
        fmt::format("[{}] {}x{} pixels, expected sides of 1 to {} and at most {} "
                    "pixels; shrink the image",
                    place, width, height, max_side, limits.max_pixels));
}

bool is_pnm(std::span<const std::uint8_t> bytes) {
  return bytes.size() > 2 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6');
}

/// The next number of a PNM header, after white space and comments; at most 99,999,999, -1 when
/// there is none. Moves `at` behind the character that ends it.
std::int64_t pnm_number(std::span<const std::uint8_t> bytes, std::size_t& at) {
  constexpr std::int64_t kMaxNumber = 99'999'999;
  while (at < bytes.size() && (std::isspace(bytes[at]) != 0 || bytes[at] == '#')) {
    if (bytes[at] == '#')
      while (at < bytes.size() && bytes[at] != '\n' && bytes[at] != '\r') ++at;
    else
      ++at;
  }
  if (at == bytes.size() || std::isdigit(bytes[at]) == 0) return -1;
  std::int64_t number = 0;
  for (; at < bytes.size() && std::isdigit(bytes[at]) != 0; ++at)
    number = std::min(10 * number + (bytes[at] - '0'), kMaxNumber);
  if (at == bytes.size() || std::isspace(bytes[at++]) == 0) return -1;
  return number;
}

/// Binary PGM and PPM. stb_image's reader is not used: it leaves the missing pixels of a truncated
/// file uninitialised and overflows on long numbers.
Image decode_pnm(std::span<const std::uint8_t> bytes, std::string_view place,
                 const ImageLimits& limits) {
  std::size_t at = 2;
  const std::int64_t width = pnm_number(bytes, at);
  const std::int64_t height = width < 0 ? -1 : pnm_number(bytes, at);
  const std::int64_t largest = height < 0 ? -1 : pnm_number(bytes, at);
  if (largest < 1 || largest > 65535)
    throw DataError(fmt::format("[{}] the image is damaged (PNM header); {}", place, kRemedy));
  check_size(place, width, height, limits);
  const auto plane = static_cast<std::size_t>(width * height);
  const std::size_t channels = bytes[1] == '6' ? 3 : 1;
  const std::size_t wide = largest > 255 ? 2 : 1;
  if (bytes.size() - at < plane * channels * wide)
    throw DataError(
        fmt::format("[{}] {} bytes, too few for {}x{} pixels: the image is truncated; {}", place,
                    bytes.size(), width, height, kRemedy));
  Image image{.height = height, .width = width, .pixels = std::vector<std::uint8_t>(3 * plane)};
  for (std::size_t i = 0; i < plane; ++i)
    for (std::size_t c = 0; c < 3; ++c) {
      const std::uint8_t* value = bytes.data() + at + (i * channels + c % channels) * wide;
      const std::int64_t whole = wide == 2 ? 256 * value[0] + value[1] : value[0];
      image.pixels[c * plane + i] =
          static_cast<std::uint8_t>((std::min(whole, largest) * 255 + largest / 2) / largest);
    }
  return image;
}

/// Four bytes as a big-endian number; the caller has checked that they are there.
std::size_t big_endian_32(std::span<const std::uint8_t> bytes, std::size_t at) {
  std::size_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = 256 * number + bytes[at + i];
  return number;
}

/// Whether every chunk of a PNG lies in the file and no data chunk is empty, for which stb_image
/// would copy to a null pointer.
bool has_sound_png_chunks(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kFrame = 12;  // length, type and checksum
  std::size_t at = 8;
  while (bytes.size() >= kFrame && at <= bytes.size() - kFrame) {
    const std::size_t length = big_endian_32(bytes, at);
    const std::string_view type(reinterpret_cast<const char*>(bytes.data()) + at + 4, 4);
    if (type == "IEND") return true;
    if (length > bytes.size() - kFrame - at || (type == "IDAT" && length == 0)) return false;
    at += kFrame + length;
  }
  return false;
}

/// Refuses PNG files that stb_image 2.27 is known to handle wrongly, and names the size of those
/// beyond its own limit, which it would not.
void check_png(std::string_view place, std::span<const std::uint8_t> bytes,
               const ImageLimits& limits) {
  constexpr std::size_t kHeaderAt = 12;  // behind the signature and the chunk's length
  constexpr std::string_view kHeader = "IHDR";
  if (bytes.size() >= kHeaderAt + 12 &&
      std::equal(kHeader.begin(), kHeader.end(), bytes.begin() + kHeaderAt))
    check_size(place, static_cast<std::int64_t>(big_endian_32(bytes, kHeaderAt + 4)),
               static_cast<std::int64_t>(big_endian_32(bytes, kHeaderAt + 8)), limits);
  if (!has_sound_png_chunks(bytes))
    throw DataError(
        fmt::format("[{}] the image is damaged or truncated (PNG chunk); {}", place, kRemedy));
}

/// The same for JPEG files.
void check_jpeg(std::string_view place, std::span<const std::uint8_t> bytes,
                const ImageLimits& limits) {
  const JpegFrame frame = read_jpeg_frame(bytes);
  if (frame.channels > 0) check_size(place, frame.width, frame.height, limits);
  if (!has_sound_huffman_tables(bytes))
    throw DataError(fmt::format("[{}] the image is damaged (Huffman table); {}", place, kRemedy));
  // Without the marker nobody can tell ink from light; stb_image would take it for YCbCr.
  if (frame.channels == 4 && !frame.is_adobe)
    throw DataError(fmt::format(
        "[{}] a JPEG of four channels (CMYK) without Adobe's marker; convert it to RGB", place));
}

/// Names the formats that folders of photographs hold but nothing here reads.
void refuse_other_formats(std::string_view place, std::span<const std::uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const bool is_tiff = text.starts_with("II*") || text.starts_with("MM");
  const bool is_webp = text.starts_with("RIFF") && text.substr(0, 12).ends_with("WEBP");
  if (is_tiff || is_webp)
    throw DataError(fmt::format("[{}] a {} file, which is not read; convert it to JPEG or PNG",
                                place, is_tiff ? "TIFF" : "WebP"));
}

}  // namespace

Image decode_image(std::span<const std::uint8_t> bytes, std::string_view place,
                   const ImageLimits& limits) {
  if (std::ssize(bytes) > limits.max_file_bytes)
    throw DataError(fmt::format("[{}] {} bytes, expected at most {}; shrink the image", place,
                                bytes.size(), limits.max_file_bytes));
  if (is_pnm(bytes)) return decode_pnm(bytes, place, limits);
  if (!bytes.empty()) {
    refuse_other_formats(place, bytes);
    if (bytes[0] == 0x89) check_png(place, bytes, limits);
    if (bytes[0] == 0xFF) check_jpeg(place, bytes, limits);
  }
  const std::size_t base_limit = 4 * bytes.size() + (std::size_t{16} << 20U);
  allocation_limit = base_limit;
  const int length = static_cast<int>(bytes.size());
  int width = 0;
  int height = 0;
  int channels = 0;
  if (bytes.empty() || stbi_info_from_memory(bytes.data(), length, &width, &height, &channels) == 0)
    throw DataError(fmt::format("[{}] {} bytes that are no image ({}); {}", place, bytes.size(),
                                bytes.empty() ? "empty" : stbi_failure_reason(), kRemedy));
  check_size(place, width, height, limits);
  // Twice the largest form of the pixels, four channels of 16 bits.
  allocation_limit =
      base_limit + std::size_t{16} * static_cast<std::size_t>(std::int64_t{width} * height);
  const std::unique_ptr<stbi_uc, FreePixels> decoded(
      stbi_load_from_memory(bytes.data(), length, &width, &height, &channels, 3));
  if (decoded == nullptr)
    throw DataError(
        fmt::format("[{}] the image is damaged ({}); {}", place, stbi_failure_reason(), kRemedy));
  Image image{.height = height, .width = width, .pixels = {}};
  const auto plane = static_cast<std::size_t>(image.height * image.width);
  image.pixels.resize(3 * plane);
  for (std::size_t i = 0; i < plane; ++i)
    for (std::size_t c = 0; c < 3; ++c) image.pixels[c * plane + i] = decoded.get()[3 * i + c];
  return turn_upright(std::move(image), exif_orientation(bytes));
}

std::vector<std::uint8_t> read_image_bytes(const std::filesystem::path& path,
                                           const ImageLimits& limits) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error)
    throw IoError(fmt::format("[{}] cannot read the image: {}; check the path", path.string(),
                              error.message()));
  if (size > static_cast<std::uintmax_t>(limits.max_file_bytes))
    throw DataError(fmt::format("[{}] {} bytes, expected at most {}; shrink the image",
                                path.string(), size, limits.max_file_bytes));
  std::vector<std::uint8_t> bytes(size);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!file)
    throw IoError(fmt::format("[{}] cannot read the image: {}; check its permissions",
                              path.string(), std::strerror(errno)));
  return bytes;
}

Image read_image(const std::filesystem::path& path, const ImageLimits& limits) {
  return decode_image(read_image_bytes(path, limits), path.string(), limits);
}

}  // namespace branchy
