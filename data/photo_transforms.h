// Transforms of photographs as torchvision defines them for Pillow images, pixel by pixel the same.
// All are pure functions of the image and their parameters.
#pragma once

#include <cstdint>

#include "core/rng.h"
#include "data/image.h"

namespace branchy {

/// Part of an image in pixels.
struct CropBox {
  std::int64_t top = 0, left = 0, height = 0, width = 0;
};

/// Throws ConfigError unless the box lies in the image and is not empty.
[[nodiscard]] Image crop_image(const Image& image, const CropBox& box);
/// resize(side): the shorter side becomes `side`, the other int(side * longer / shorter).
[[nodiscard]] Image resize_shorter_side(const Image& image, std::int64_t side);
/// center_crop(side): a square from the middle; black is added around a smaller image.
[[nodiscard]] Image center_crop(const Image& image, std::int64_t side);
/// RandomResizedCrop.get_params(scale=(0.08, 1), ratio=(3/4, 4/3)): up to ten tries of a box with
/// an area and an aspect ratio (log-uniform) in range, then the largest central box in range.
[[nodiscard]] CropBox random_resized_crop_box(const Image& image, Rng& rng);
[[nodiscard]] Image flip_horizontally(const Image& image);
/// rotate(degrees): counter-clockwise around the centre, nearest pixel, the same size, black where
/// nothing was.
[[nodiscard]] Image rotate_image(const Image& image, double degrees);
/// adjust_brightness(factor): every pixel times `factor` (>= 0), rounded down, at most 255.
[[nodiscard]] Image adjust_brightness(Image image, float factor);
/// rgb_to_grayscale with three equal planes: ITU-R BT.601 luma.
[[nodiscard]] Image to_grayscale(Image image);

}  // namespace branchy
