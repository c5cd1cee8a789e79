#include "data/photo_transforms.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace branchy {

namespace {

std::size_t offset(const Image& image, std::int64_t c, std::int64_t y, std::int64_t x) {
  return static_cast<std::size_t>((c * image.height + y) * image.width + x);
}

/// Python's round(): halves go to the even neighbour.
std::int64_t round_half_even(double value) {
  return static_cast<std::int64_t>(std::nearbyint(value));
}

/// Pillow rounds the sine and cosine to 15 decimals, so that right angles are exact.
double rounded_to_15_decimals(double value) {
  constexpr double kScale = 1e15;
  return std::nearbyint(value * kScale) / kScale;
}

/// 16.16 fixed point, as Pillow computes source positions.
std::int64_t fixed_point(double value) {
  return static_cast<std::int64_t>(std::floor(value * 65536.0 + 0.5));
}

}  // namespace

Image crop_image(const Image& image, const CropBox& box) {
  if (box.top < 0 || box.left < 0 || box.height < 1 || box.width < 1 ||
      box.top + box.height > image.height || box.left + box.width > image.width)
    throw ConfigError(fmt::format("[crop] {}x{} from ({},{}) of an image of {}x{}; correct the box",
                                  box.height, box.width, box.top, box.left, image.height,
                                  image.width));
  Image crop{.height = box.height, .width = box.width, .pixels = {}};
  crop.pixels.reserve(static_cast<std::size_t>(3 * box.height * box.width));
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t y = 0; y < box.height; ++y) {
      const std::uint8_t* from = image.pixels.data() + offset(image, c, box.top + y, box.left);
      crop.pixels.insert(crop.pixels.end(), from, from + box.width);
    }
  return crop;
}

Image resize_shorter_side(const Image& image, std::int64_t side) {
  const auto longer = [side](std::int64_t length, std::int64_t shorter) {
    return static_cast<std::int64_t>(static_cast<double>(side * length) /
                                     static_cast<double>(shorter));
  };
  if (image.width <= image.height)
    return resize_image(image, longer(image.height, image.width), side);
  return resize_image(image, side, longer(image.width, image.height));
}

Image center_crop(const Image& image, std::int64_t side) {
  if (image.height < side || image.width < side) {
    Image padded{
        .height = std::max(image.height, side), .width = std::max(image.width, side), .pixels = {}};
    padded.pixels.resize(static_cast<std::size_t>(3 * padded.height * padded.width));
    const std::int64_t top = (padded.height - image.height) / 2;
    const std::int64_t left = (padded.width - image.width) / 2;
    for (std::int64_t c = 0; c < 3; ++c)
      for (std::int64_t y = 0; y < image.height; ++y)
        std::copy_n(
            image.pixels.begin() + static_cast<std::ptrdiff_t>(offset(image, c, y, 0)), image.width,
            padded.pixels.begin() + static_cast<std::ptrdiff_t>(offset(padded, c, top + y, left)));
    return center_crop(padded, side);
  }
  return crop_image(image, {.top = round_half_even(static_cast<double>(image.height - side) / 2.0),
                            .left = round_half_even(static_cast<double>(image.width - side) / 2.0),
                            .height = side,
                            .width = side});
}

CropBox random_resized_crop_box(const Image& image, Rng& rng) {
  constexpr float kSmallestArea = 0.08F;
  constexpr double kLowRatio = 3.0 / 4.0;
  constexpr double kHighRatio = 4.0 / 3.0;
  constexpr int kTries = 10;
  const auto height = static_cast<double>(image.height);
  const auto width = static_cast<double>(image.width);
  for (int i = 0; i < kTries; ++i) {
    const double area = height * width * static_cast<double>(rng.uniform(kSmallestArea, 1.0F));
    const double ratio = std::exp(static_cast<double>(rng.uniform(
        static_cast<float>(std::log(kLowRatio)), static_cast<float>(std::log(kHighRatio)))));
    const std::int64_t w = round_half_even(std::sqrt(area * ratio));
    const std::int64_t h = round_half_even(std::sqrt(area / ratio));
    if (w < 1 || h < 1 || w > image.width || h > image.height) continue;
    const std::int64_t top = rng.below(image.height - h + 1);
    return {.top = top, .left = rng.below(image.width - w + 1), .height = h, .width = w};
  }
  const double ratio = std::clamp(width / height, kLowRatio, kHighRatio);
  CropBox box{.top = 0, .left = 0, .height = image.height, .width = image.width};
  if (width / height < kLowRatio) box.height = round_half_even(width / ratio);
  if (width / height > kHighRatio) box.width = round_half_even(height * ratio);
  box.height = std::clamp<std::int64_t>(box.height, 1, image.height);
  box.width = std::clamp<std::int64_t>(box.width, 1, image.width);
  box.top = (image.height - box.height) / 2;
  box.left = (image.width - box.width) / 2;
  return box;
}

Image flip_horizontally(const Image& image) {
  Image flipped = image;
  const auto width = static_cast<std::size_t>(image.width);
  for (std::size_t row = 0; row < flipped.pixels.size(); row += width) {
    const auto begin = flipped.pixels.begin() + static_cast<std::ptrdiff_t>(row);
    std::reverse(begin, begin + image.width);
  }
  return flipped;
}

Image rotate_image(const Image& image, double degrees) {
  const double angle = -degrees * std::numbers::pi / 180.0;
  const double cosine = rounded_to_15_decimals(std::cos(angle));
  const double sine = rounded_to_15_decimals(std::sin(angle));
  const double center_x = static_cast<double>(image.width) / 2.0;
  const double center_y = static_cast<double>(image.height) / 2.0;
  const double shift_x = cosine * -center_x + sine * -center_y + center_x;
  const double shift_y = -sine * -center_x + cosine * -center_y + center_y;
  // Pixel (x, y) comes from the position under its centre.
  const std::int64_t xx = fixed_point(cosine);
  const std::int64_t xy = fixed_point(sine);
  const std::int64_t yx = fixed_point(-sine);
  std::int64_t row_x = fixed_point(shift_x + cosine * 0.5 + sine * 0.5);
  std::int64_t row_y = fixed_point(shift_y - sine * 0.5 + cosine * 0.5);
  Image rotated{.height = image.height, .width = image.width, .pixels = {}};
  rotated.pixels.resize(image.pixels.size());
  const auto plane = static_cast<std::size_t>(image.height * image.width);
  std::size_t out = 0;
  for (std::int64_t y = 0; y < image.height; ++y) {
    std::int64_t from_x = row_x;
    std::int64_t from_y = row_y;
    for (std::int64_t x = 0; x < image.width; ++x, ++out) {
      const std::int64_t column = from_x >> 16;
      const std::int64_t row = from_y >> 16;
      if (column >= 0 && column < image.width && row >= 0 && row < image.height)
        for (std::size_t c = 0; c < 3; ++c)
          rotated.pixels[c * plane + out] = image.pixels[c * plane + offset(image, 0, row, column)];
      from_x += xx;
      from_y += yx;
    }
    row_x += xy;
    row_y += xx;
  }
  return rotated;
}

Image adjust_brightness(Image image, float factor) {
  std::array<std::uint8_t, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i)
    table.at(i) =
        static_cast<std::uint8_t>(std::clamp(factor * static_cast<float>(i), 0.0F, 255.0F));
  for (std::uint8_t& pixel : image.pixels) pixel = table.at(pixel);
  return image;
}

Image to_grayscale(Image image) {
  // 0.299, 0.587 and 0.114 in 16 bits.
  constexpr std::uint32_t kRed = 19595;
  constexpr std::uint32_t kGreen = 38470;
  constexpr std::uint32_t kBlue = 7471;
  const std::size_t plane = image.pixels.size() / 3;
  std::uint8_t* pixels = image.pixels.data();
  for (std::size_t i = 0; i < plane; ++i) {
    const std::uint32_t sum =
        kRed * pixels[i] + kGreen * pixels[plane + i] + kBlue * pixels[2 * plane + i];
    const auto luma = static_cast<std::uint8_t>((sum + 0x8000U) >> 16U);
    pixels[i] = pixels[plane + i] = pixels[2 * plane + i] = luma;
  }
  return image;
}

}  // namespace branchy
