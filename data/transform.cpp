#include "data/transform.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "data/pipeline.h"

namespace branchy {

namespace {

constexpr std::array<std::string_view, kNumAugmentations> kNames = {"none", "crop-flip", "pacheco",
                                                                    "imagenet"};

/// One row shifted by `shift` columns with black moving in, then mirrored if `flip`.
void copy_row(std::span<const std::uint8_t> src, std::span<std::uint8_t> dst, std::int64_t shift,
              bool flip) {
  const std::int64_t width = std::ssize(src);
  for (std::int64_t x = 0; x < width; ++x) {
    const std::int64_t from = x + shift;
    const bool inside = from >= 0 && from < width;
    dst[static_cast<std::size_t>(flip ? width - 1 - x : x)] =
        inside ? src[static_cast<std::size_t>(from)] : std::uint8_t{0};
  }
}

void augment_photo(Augmentation augmentation, const Shape& shape, std::span<const std::uint8_t> src,
                   std::span<std::uint8_t> dst, Rng& rng) {
  if (shape[0] != 3 || shape[1] != shape[2])
    throw ConfigError(
        fmt::format("[augment] images are {}, expected [3,H,H]; use crop-flip", shape.to_string()));
  const Image image{
      .height = shape[1], .width = shape[2], .pixels = std::vector(src.begin(), src.end())};
  const Image augmented = training_pipeline(augmentation, shape[1]).apply(image, rng);
  std::copy(augmented.pixels.begin(), augmented.pixels.end(), dst.begin());
}

}  // namespace

Augmentation parse_augmentation_name(std::string_view name) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end())
    throw ConfigError(
        fmt::format("[data] --augment '{}', expected none, crop-flip, imagenet or pacheco", name));
  return static_cast<Augmentation>(found - kNames.begin());
}

std::string_view augmentation_name(Augmentation augmentation) {
  return kNames.at(static_cast<std::size_t>(augmentation));
}

void augment(Augmentation augmentation, const Shape& shape, std::span<const std::uint8_t> src,
             std::span<std::uint8_t> dst, Rng& rng) {
  BRANCHY_DCHECK(std::ssize(src) == shape.size() && src.size() == dst.size());
  if (augmentation == Augmentation::kNone) {
    std::copy(src.begin(), src.end(), dst.begin());
    return;
  }
  if (augmentation != Augmentation::kCropFlip) {
    augment_photo(augmentation, shape, src, dst, rng);
    return;
  }
  const std::int64_t height = shape[1];
  const auto width = static_cast<std::size_t>(shape[2]);
  const std::int64_t shift_y = rng.below(2 * kCropPadding + 1) - kCropPadding;
  const std::int64_t shift_x = rng.below(2 * kCropPadding + 1) - kCropPadding;
  const bool flip = rng.below(2) == 1;
  for (std::int64_t row = 0; row < shape[0] * height; ++row) {
    const std::int64_t from = row % height + shift_y;
    const auto out = dst.subspan(static_cast<std::size_t>(row) * width, width);
    if (from < 0 || from >= height)
      std::fill(out.begin(), out.end(), std::uint8_t{0});
    else
      copy_row(src.subspan(static_cast<std::size_t>(row + shift_y) * width, width), out, shift_x,
               flip);
  }
}

void normalize(const Normalization& normalization, std::span<const std::uint8_t> src,
               std::span<float> dst) {
  BRANCHY_DCHECK(src.size() == dst.size() && src.size() % 3 == 0);
  const std::size_t plane = src.size() / 3;
  for (std::size_t c = 0; c < 3; ++c) {
    const float mean = normalization.mean[c];
    const float deviation = normalization.std[c];
    for (std::size_t i = c * plane; i < (c + 1) * plane; ++i)
      dst[i] = (static_cast<float>(src[i]) / 255.0F - mean) / deviation;
  }
}

}  // namespace branchy
