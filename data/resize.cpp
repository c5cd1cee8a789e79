#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "data/image.h"

namespace branchy {

namespace {

constexpr std::int64_t kMaxSide = 16'384;
// Weights are fixed-point numbers: 8 bits for the pixel and 2 for the sum are kept free of 32.
constexpr int kWeightBits = 22;
constexpr std::int32_t kHalf = 1 << (kWeightBits - 1);

/// For one output position along an axis: the first input position and the weights from there.
struct Taps {
  std::size_t first = 0;
  std::vector<std::int32_t> weights;
};

/// Halves upwards, as Pillow rounds here.
std::int64_t nearest(double value) { return static_cast<std::int64_t>(std::floor(value + 0.5)); }

/// Triangle filter, widened by the scale when shrinking (Pillow's "bilinear").
std::vector<Taps> taps_of(std::int64_t in, std::int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(scale, 1.0);
  std::vector<Taps> all(static_cast<std::size_t>(out));
  std::vector<double> weights;
  for (std::int64_t o = 0; o < out; ++o) {
    const double center = (static_cast<double>(o) + 0.5) * scale;
    const std::int64_t first = std::max<std::int64_t>(nearest(center - support), 0);
    const std::int64_t end = std::min<std::int64_t>(nearest(center + support), in);
    weights.clear();
    double sum = 0.0;
    for (std::int64_t i = first; i < end; ++i) {
      const double distance = std::abs((static_cast<double>(i) - center + 0.5) / support);
      weights.push_back(std::max(0.0, 1.0 - distance));
      sum += weights.back();
    }
    Taps& taps = all[static_cast<std::size_t>(o)];
    taps.first = static_cast<std::size_t>(first);
    for (const double weight : weights)
      taps.weights.push_back(
          static_cast<std::int32_t>(nearest(weight / sum * static_cast<double>(1 << kWeightBits))));
  }
  return all;
}

std::uint8_t rounded(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

/// [rows,width] to [rows,taps].
std::vector<std::uint8_t> resize_rows(const std::vector<std::uint8_t>& src, std::size_t width,
                                      const std::vector<Taps>& taps) {
  const std::size_t rows = src.size() / width;
  std::vector<std::uint8_t> dst(rows * taps.size());
  std::uint8_t* out = dst.data();
  for (std::size_t row = 0; row < rows; ++row)
    for (const Taps& tap : taps) {
      const std::uint8_t* from = src.data() + row * width + tap.first;
      std::int32_t sum = kHalf;
      for (std::size_t i = 0; i < tap.weights.size(); ++i) sum += tap.weights[i] * from[i];
      *out++ = rounded(sum);
    }
  return dst;
}

/// [planes,height,width] to [planes,taps,width].
std::vector<std::uint8_t> resize_columns(const std::vector<std::uint8_t>& src, std::size_t width,
                                         std::size_t height, const std::vector<Taps>& taps) {
  const std::size_t planes = src.size() / (width * height);
  std::vector<std::uint8_t> dst(planes * taps.size() * width);
  std::vector<std::int32_t> sums(width);
  std::uint8_t* out = dst.data();
  for (std::size_t plane = 0; plane < planes; ++plane)
    for (const Taps& tap : taps) {
      std::fill(sums.begin(), sums.end(), kHalf);
      const std::uint8_t* from = src.data() + (plane * height + tap.first) * width;
      for (const std::int32_t weight : tap.weights) {
        for (std::size_t x = 0; x < width; ++x) sums[x] += weight * from[x];
        from += width;
      }
      for (std::size_t x = 0; x < width; ++x) out[x] = rounded(sums[x]);
      out += width;
    }
  return dst;
}

}  // namespace

Image resize_image(const Image& image, std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide)
    throw ConfigError(fmt::format("[resize] {}x{} pixels, expected 1 to {} each; correct the size",
                                  height, width, kMaxSide));
  Image resized{.height = height, .width = width, .pixels = {}};
  resized.pixels = width == image.width
                       ? image.pixels
                       : resize_rows(image.pixels, static_cast<std::size_t>(image.width),
                                     taps_of(image.width, width));
  if (height != image.height)
    resized.pixels =
        resize_columns(resized.pixels, static_cast<std::size_t>(width),
                       static_cast<std::size_t>(image.height), taps_of(image.height, height));
  return resized;
}

}  // namespace branchy
