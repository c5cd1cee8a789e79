#include "infer/thumbnail.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/error.h"

namespace branchy {
namespace {

TEST(Thumbnail, SmallImagesStayAsTheyAre) {
  std::vector<std::uint8_t> pixels(3 * 4 * 6);
  std::iota(pixels.begin(), pixels.end(), std::uint8_t{0});
  const Image image = make_thumbnail(pixels, Shape{1, 3, 4, 6}).image;
  EXPECT_EQ(image.height, 4);
  EXPECT_EQ(image.width, 6);
  EXPECT_EQ(image.pixels, pixels);
}

TEST(Thumbnail, LargeImagesAreAveragedInSquares) {
  // 200 wide: squares of 3 pixels. Columns of a square are 3x, 3x + 1, 3x + 2.
  const std::int64_t height = 30;
  const std::int64_t width = 200;
  std::vector<std::uint8_t> pixels;
  for (std::int64_t channel = 0; channel < 3; ++channel)
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x)
        pixels.push_back(static_cast<std::uint8_t>(x + channel));
  const Image image = make_thumbnail(pixels, Shape{1, 3, height, width}).image;
  EXPECT_EQ(image.height, 10);
  EXPECT_EQ(image.width, 66);
  ASSERT_EQ(image.pixels.size(), 3U * 10 * 66);
  EXPECT_EQ(image.pixels[0], 1);
  EXPECT_EQ(image.pixels[65], 196);
  EXPECT_EQ(image.pixels.back(), 198);
}

TEST(Thumbnail, ThinImagesKeepAPixel) {
  const std::vector<std::uint8_t> pixels(3 * 1 * 500, 9);
  const Image image = make_thumbnail(pixels, Shape{1, 3, 1, 500}).image;
  EXPECT_EQ(image.height, 1);
  EXPECT_EQ(image.width, 83);
  EXPECT_EQ(image.pixels[0], 9);
}

TEST(Thumbnail, RejectsOtherShapes) {
  const std::vector<std::uint8_t> pixels(12);
  EXPECT_THROW((void)make_thumbnail(pixels, Shape{1, 3, 2, 3}), ShapeError);
  EXPECT_THROW((void)make_thumbnail(pixels, Shape{2, 3, 1, 2}), ShapeError);
}

}  // namespace
}  // namespace branchy
