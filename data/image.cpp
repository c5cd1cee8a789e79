#include "data/image.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>
#include <system_error>

#include "core/error.h"

// Few formats, no files, no state: what is left out cannot be attacked.
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_MAX_DIMENSIONS 16384
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_ONLY_BMP
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_PNM
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image.h>
#pragma GCC diagnostic pop

namespace branchy {

namespace {

constexpr std::int64_t kMaxSide = STBI_MAX_DIMENSIONS;

struct FreePixels {
  void operator()(stbi_uc* pixels) const { stbi_image_free(pixels); }
};

/// For one output position along an axis: the first input position and the weights from there.
struct Taps {
  std::int64_t first = 0;
  std::vector<float> weights;
};

/// Triangle filter, widened by the scale when shrinking (Pillow's "bilinear").
std::vector<Taps> taps_of(std::int64_t in, std::int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(scale, 1.0);
  std::vector<Taps> all(static_cast<std::size_t>(out));
  for (std::int64_t o = 0; o < out; ++o) {
    const double center = (static_cast<double>(o) + 0.5) * scale;
    Taps& taps = all[static_cast<std::size_t>(o)];
    taps.first = std::max<std::int64_t>(std::lround(std::floor(center - support + 0.5)), 0);
    const std::int64_t end =
        std::min<std::int64_t>(std::lround(std::floor(center + support + 0.5)), in);
    double sum = 0.0;
    for (std::int64_t i = taps.first; i < end; ++i) {
      const double distance = std::abs((static_cast<double>(i) + 0.5 - center) / support);
      const double weight = std::max(0.0, 1.0 - distance);
      taps.weights.push_back(static_cast<float>(weight));
      sum += weight;
    }
    for (float& weight : taps.weights) weight /= static_cast<float>(sum);
  }
  return all;
}

/// [rows,in] to [out,rows] by `taps`: the result is transposed, so two calls resize both axes.
std::vector<float> resize_rows(const std::vector<float>& src, std::int64_t in,
                               const std::vector<Taps>& taps) {
  const std::size_t width = static_cast<std::size_t>(in);
  const std::size_t rows = src.size() / width;
  std::vector<float> dst(taps.size() * rows);
  for (std::size_t o = 0; o < taps.size(); ++o) {
    for (std::size_t row = 0; row < rows; ++row) {
      const float* from = src.data() + row * width + static_cast<std::size_t>(taps[o].first);
      float sum = 0.0F;
      for (std::size_t i = 0; i < taps[o].weights.size(); ++i) sum += taps[o].weights[i] * from[i];
      dst[o * rows + row] = sum;
    }
  }
  return dst;
}

/// Bytes of a PNM header: magic, width, height, maximum, each followed by white space or comments.
std::size_t pnm_header_bytes(std::span<const std::uint8_t> bytes) {
  const auto is_space = [&](std::size_t at) { return std::isspace(bytes[at]) != 0; };
  std::size_t at = 2;
  for (int token = 0; token < 3; ++token) {
    while (at < bytes.size() && (is_space(at) || bytes[at] == '#')) {
      if (bytes[at] == '#')
        while (at < bytes.size() && bytes[at] != '\n' && bytes[at] != '\r') ++at;
      else
        ++at;
    }
    while (at < bytes.size() && !is_space(at) && bytes[at] != '#') ++at;
  }
  return at + 1;
}

/// stb_image reads past the end of a PNM without notice and leaves those pixels uninitialised.
bool is_truncated_pnm(std::span<const std::uint8_t> bytes, std::int64_t values) {
  if (bytes[0] != 'P') return false;
  const bool wide = stbi_is_16_bit_from_memory(bytes.data(), static_cast<int>(bytes.size())) != 0;
  const auto payload = static_cast<std::size_t>(values * (wide ? 2 : 1));
  return bytes.size() < payload || bytes.size() - payload < pnm_header_bytes(bytes);
}

}  // namespace

Image decode_image(std::span<const std::uint8_t> bytes, std::string_view place,
                   const ImageLimits& limits) {
  constexpr const char* kRemedy = "use a whole JPEG, PNG, BMP or PPM file";
  if (std::ssize(bytes) > limits.max_file_bytes)
    throw DataError(fmt::format("[{}] {} bytes, expected at most {}; shrink the image", place,
                                bytes.size(), limits.max_file_bytes));
  const int length = static_cast<int>(bytes.size());
  int width = 0;
  int height = 0;
  int channels = 0;
  if (bytes.empty() || stbi_info_from_memory(bytes.data(), length, &width, &height, &channels) == 0)
    throw DataError(fmt::format("[{}] {} bytes that are no image ({}); {}", place, bytes.size(),
                                bytes.empty() ? "empty" : stbi_failure_reason(), kRemedy));
  const std::int64_t max_side = std::min(limits.max_side, kMaxSide);
  if (width < 1 || height < 1 || width > max_side || height > max_side ||
      std::int64_t{width} * height > limits.max_pixels)
    throw DataError(
        fmt::format("[{}] {}x{} pixels, expected sides of 1 to {} and at most {} "
                    "pixels; shrink the image",
                    place, width, height, max_side, limits.max_pixels));
  if (is_truncated_pnm(bytes, std::int64_t{width} * height * channels))
    throw DataError(
        fmt::format("[{}] {} bytes, too few for {}x{} pixels: the image is truncated; {}", place,
                    bytes.size(), width, height, kRemedy));
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
  return image;
}

Image read_image(const std::filesystem::path& path, const ImageLimits& limits) {
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
  return decode_image(bytes, path.string(), limits);
}

Image resize_image(const Image& image, std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide)
    throw ConfigError(fmt::format("[resize] {}x{} pixels, expected 1 to {} each; correct the size",
                                  height, width, kMaxSide));
  Image resized{.height = height, .width = width, .pixels = {}};
  const auto plane = static_cast<std::size_t>(image.height * image.width);
  const std::vector<Taps> horizontal = taps_of(image.width, width);
  const std::vector<Taps> vertical = taps_of(image.height, height);
  for (std::size_t c = 0; c < 3; ++c) {
    const std::uint8_t* from = image.pixels.data() + c * plane;
    const std::vector<float> columns =
        resize_rows(std::vector<float>(from, from + plane), image.width, horizontal);
    for (const float value : resize_rows(columns, image.height, vertical))
      resized.pixels.push_back(static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L)));
  }
  return resized;
}

}  // namespace branchy
