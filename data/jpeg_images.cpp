#include "data/jpeg_images.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "core/error.h"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wold-style-cast"
#include <stb_image_write.h>
#pragma GCC diagnostic pop

namespace branchy {

namespace {

void append(void* file, void* bytes, int size) {
  const auto* begin = static_cast<const std::uint8_t*>(bytes);
  auto* to = static_cast<std::vector<std::uint8_t>*>(file);
  to->insert(to->end(), begin, begin + size);
}

}  // namespace

std::vector<std::uint8_t> encode_jpeg(const Image& image, std::int64_t quality) {
  if (quality < 1 || quality > 100)
    throw ConfigError(fmt::format("[jpeg] quality {}, expected 1 to 100", quality));
  const auto plane = static_cast<std::size_t>(image.height * image.width);
  std::vector<std::uint8_t> interleaved(3 * plane);
  for (std::size_t i = 0; i < plane; ++i)
    for (std::size_t c = 0; c < 3; ++c) interleaved[3 * i + c] = image.pixels[c * plane + i];
  std::vector<std::uint8_t> file;
  if (stbi_write_jpg_to_func(append, &file, static_cast<int>(image.width),
                             static_cast<int>(image.height), 3, interleaved.data(),
                             static_cast<int>(quality)) == 0)
    throw Error("[jpeg] the image cannot be encoded");
  return file;
}

JpegBytes count_jpeg_bytes(const std::vector<std::uint8_t>& file) {
  constexpr std::array<std::uint8_t, 2> kStartOfScan{0xFF, 0xDA};
  constexpr std::int64_t kEndMarker = 2;
  const auto size = std::ssize(file);
  // No segment of stb_image_write's before this one holds the marker by chance.
  const auto start =
      std::search(file.begin(), file.end(), kStartOfScan.begin(), kStartOfScan.end());
  if (file.end() - start < 4) throw DataError("[jpeg] no scan in the file");
  const std::int64_t header = 2 + 256 * std::int64_t{start[2]} + std::int64_t{start[3]};
  return {.file = size, .scan = (file.end() - start) - header - kEndMarker};
}

JpegImages::JpegImages(std::shared_ptr<const Dataset> base, std::int64_t quality)
    : base_(std::move(base)), quality_(quality) {}

std::vector<std::uint8_t> JpegImages::file(std::int64_t index) const {
  const Shape shape = base_->image_shape();
  Image image{.height = shape.dim(1),
              .width = shape.dim(2),
              .pixels = std::vector<std::uint8_t>(static_cast<std::size_t>(shape.size()))};
  base_->read(index, image.pixels);
  return encode_jpeg(image, quality_);
}

void JpegImages::read(std::int64_t index, std::span<std::uint8_t> pixels) const {
  const Image image = decode_image(file(index), "jpeg");
  std::copy(image.pixels.begin(), image.pixels.end(), pixels.begin());
}

}  // namespace branchy
