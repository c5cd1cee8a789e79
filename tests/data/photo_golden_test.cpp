// Transforms and decoding against torchvision and Pillow (tests/golden/make_photo_golden.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/safetensors.h"
#include "data/image.h"
#include "data/photo_transforms.h"

namespace branchy {
namespace {

const SafetensorsFile& golden() {
  static const SafetensorsFile kFile(BRANCHY_PHOTO_GOLDEN_FILE);
  return kFile;
}

/// The formula of the generator.
Image source(std::int64_t height, std::int64_t width) {
  Image image{.height = height, .width = width, .pixels = {}};
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x)
        image.pixels.push_back(
            static_cast<std::uint8_t>((7 * x + 13 * y + 5 * c + x * y / 3) % 256));
  return image;
}

/// Compares with the golden pixels; `tolerance` in levels of 255.
void expect_golden(const std::string& name, const Image& image, int tolerance = 0) {
  const Tensor expected = golden().tensor(name);
  ASSERT_EQ(expected.shape(), (Shape{3, image.height, image.width})) << name;
  int worst = 0;
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    worst = std::max(worst, std::abs(image.pixels[i] - static_cast<int>(expected.data()[i])));
  EXPECT_LE(worst, tolerance) << name;
}

TEST(PhotoGolden, EveryTransformIsTorchvisionsPixelByPixel) {
  const Image tall = source(61, 43);
  const Image wide = source(40, 57);
  const Image small = source(9, 11);
  expect_golden("resize 20x31 of 61x43", resize_image(tall, 20, 31));
  expect_golden("resize 80x30 of 61x43", resize_image(tall, 80, 30));
  expect_golden("resize-shorter 24 of 61x43", resize_shorter_side(tall, 24));
  expect_golden("resize-shorter 24 of 40x57", resize_shorter_side(wide, 24));
  expect_golden("resize-shorter 50 of 40x57", resize_shorter_side(wide, 50));
  expect_golden("center-crop 20 of 61x43", center_crop(tall, 20));
  expect_golden("center-crop 33 of 40x57", center_crop(wide, 33));
  expect_golden("center-crop 14 of 9x11", center_crop(small, 14));
  expect_golden("flip of 9x11", flip_horizontally(small));
  expect_golden("rotate 17.3 of 40x57", rotate_image(wide, 17.3));
  expect_golden("rotate -25 of 40x57", rotate_image(wide, -25.0));
  expect_golden("rotate 90 of 40x57", rotate_image(wide, 90.0));
  expect_golden("rotate 4.25 of 40x57", rotate_image(wide, 4.25));
  expect_golden("brightness 0.83 of 9x11", adjust_brightness(small, 0.83F));
  expect_golden("brightness 1.17 of 9x11", adjust_brightness(small, 1.17F));
  expect_golden("grayscale of 9x11", to_grayscale(small));
  expect_golden(
      "resized-crop 3 5 30 21 to 24 of 40x57",
      resize_image(crop_image(wide, {.top = 3, .left = 5, .height = 30, .width = 21}), 24, 24));
}

Image decoded(const std::string& name) {
  std::vector<std::uint8_t> bytes;
  const Tensor file = golden().tensor(name + ".file");
  for (const float value : file.data()) bytes.push_back(static_cast<std::uint8_t>(value));
  return decode_image(bytes, name);
}

TEST(PhotoGolden, FourChannelsBecomeRgbAsInPillow) {
  // Decoders may differ by a few levels in the inverse transform and in their upsampling.
  expect_golden("cmyk.pixels", decoded("cmyk"), 4);
  expect_golden("ycck.pixels", decoded("ycck"), 4);
}

TEST(PhotoGolden, SixteenBitsKeepTheirTopByte) { expect_golden("png16.pixels", decoded("png16")); }

}  // namespace
}  // namespace branchy
