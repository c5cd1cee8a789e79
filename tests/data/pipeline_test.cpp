#include "data/pipeline.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "data/orientation.h"
#include "data/photo_transforms.h"
#include "tests/data/image_samples.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using test::expect_error;

Image image_of(std::int64_t height, std::int64_t width) {
  Image image{.height = height, .width = width, .pixels = {}};
  for (std::int64_t i = 0; i < 3 * height * width; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(i * 7));
  return image;
}

TEST(Pipeline, EveryPresetGivesSquaresAndRepeats) {
  for (const auto preset : {Augmentation::kNone, Augmentation::kCropFlip, Augmentation::kPacheco,
                            Augmentation::kImagenet})
    for (const auto& [height, width] : {std::pair{40, 60}, std::pair{90, 20}, std::pair{5, 5}}) {
      const Pipeline pipeline = training_pipeline(preset, 24);
      const Image image = image_of(height, width);
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        Rng first(seed);
        Rng second(seed);
        const Image once = pipeline.apply(image, first);
        ASSERT_EQ(once.height, 24);
        ASSERT_EQ(once.width, 24);
        ASSERT_EQ(once.pixels.size(), 3U * 24 * 24);
        EXPECT_EQ(pipeline.apply_random(pipeline.apply_fixed(image), second).pixels, once.pixels);
      }
    }
}

TEST(Pipeline, OnlyTheLeadingFixedStepsAreKept) {
  EXPECT_EQ(evaluation_pipeline(Augmentation::kImagenet, 224).fixed_description(),
            "resize-shorter 256, center-crop 224");
  EXPECT_EQ(evaluation_pipeline(Augmentation::kPacheco, 300).description(),
            "resize-shorter 300, center-crop 300");
  EXPECT_EQ(training_pipeline(Augmentation::kPacheco, 300).fixed_description(), "resize 300x300");
  EXPECT_EQ(training_pipeline(Augmentation::kPacheco, 300).description(),
            "resize 300x300, one-of (brightness 0.8-1.2 | grayscale 0.25), flip 0.25, rotation 25");
  EXPECT_EQ(training_pipeline(Augmentation::kImagenet, 224).fixed_description(), "");
  expect_error<ConfigError>([] { (void)evaluation_pipeline(Augmentation::kNone, 0); },
                            {"0 pixels", "--image-size"});
  expect_error<ConfigError>([] { (void)one_of_step({}); }, {"no transform"});
}

TEST(RandomResizedCropBox, StaysInTheImageAndInRange) {
  const Image image = image_of(60, 80);
  std::set<std::pair<std::int64_t, std::int64_t>> sizes;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    Rng rng(seed);
    const CropBox box = random_resized_crop_box(image, rng);
    EXPECT_NO_THROW((void)crop_image(image, box));
    EXPECT_GE(box.height * box.width, 4800 * 0.08 * 0.85);
    EXPECT_NEAR(static_cast<double>(box.width) / static_cast<double>(box.height), 25.0 / 24,
                25.0 / 24 - 0.70);
    sizes.emplace(box.height, box.width);
  }
  EXPECT_GT(sizes.size(), 500U);
  Rng rng(1);
  const CropBox narrow = random_resized_crop_box(image_of(400, 2), rng);  // no box is in range
  EXPECT_EQ(narrow.width, 2);
  EXPECT_LE(narrow.height, 3);
}

TEST(CropImage, RefusesABoxOutside) {
  expect_error<ConfigError>(
      [] { (void)crop_image(image_of(4, 4), {.top = 2, .left = 0, .height = 3, .width = 2}); },
      {"[crop]"});
}

/// The sample JPEG with an EXIF segment that states `orientation`.
std::vector<std::uint8_t> with_orientation(std::uint8_t orientation, bool big_endian) {
  std::vector<std::uint8_t> exif = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0};
  const std::vector<std::uint8_t> tiff =
      big_endian
          ? std::vector<std::uint8_t>{'M', 'M', 0, 42, 0, 0, 0,           8, 0, 1, 1, 0x12, 0,
                                      3,   0,   0, 0,  1, 0, orientation, 0, 0, 0, 0, 0,    0}
          : std::vector<std::uint8_t>{'I', 'I', 42, 0, 8, 0,           0, 0, 1, 0, 0x12, 1, 3,
                                      0,   1,   0,  0, 0, orientation, 0, 0, 0, 0, 0,    0, 0};
  exif.insert(exif.end(), tiff.begin(), tiff.end());
  std::vector<std::uint8_t> bytes = test::sample_jpeg();
  bytes.insert(bytes.begin() + 2, exif.begin(), exif.end());
  return bytes;
}

TEST(Orientation, IsReadFromBothByteOrdersAndApplied) {
  const Image upright = decode_image(test::sample_jpeg(), "x");
  EXPECT_EQ(exif_orientation(test::sample_jpeg()), 1);
  for (std::uint8_t orientation = 1; orientation <= 8; ++orientation)
    for (const bool big_endian : {false, true}) {
      const auto bytes = with_orientation(orientation, big_endian);
      ASSERT_EQ(exif_orientation(bytes), orientation);
      EXPECT_EQ(decode_image(bytes, "x").pixels, turn_upright(upright, orientation).pixels);
    }
  EXPECT_EQ(exif_orientation(with_orientation(9, true)), 1);
  auto cut = with_orientation(6, true);
  for (std::size_t length = 0; length < 38; ++length)
    EXPECT_EQ(exif_orientation(std::span(cut).first(length)), 1) << length;
}

TEST(Orientation, EachTurnsTheCornersToTheirPlace) {
  // One row, three columns: 1 2 3.
  const Image row{.height = 1, .width = 3, .pixels = {1, 2, 3, 1, 2, 3, 1, 2, 3}};
  const auto plane = [&](int orientation) {
    const Image turned = turn_upright(row, orientation);
    EXPECT_EQ(turned.height, orientation >= 5 ? 3 : 1);
    return std::vector<int>(turned.pixels.begin(), turned.pixels.begin() + 3);
  };
  const std::vector<int> same = {1, 2, 3};
  const std::vector<int> reversed = {3, 2, 1};
  EXPECT_EQ(plane(1), same);
  EXPECT_EQ(plane(2), reversed);
  EXPECT_EQ(plane(3), reversed);
  EXPECT_EQ(plane(4), same);
  EXPECT_EQ(plane(5), same);
  EXPECT_EQ(plane(6), same);  // the left end goes up
  EXPECT_EQ(plane(7), reversed);
  EXPECT_EQ(plane(8), reversed);  // the right end goes up
}

TEST(DecodeImage, NamesTiffWebpAndUnmarkedCmyk) {
  using namespace std::string_view_literals;
  expect_error<DataError>([] { (void)decode_image(test::bytes_of("II*\0abcdefgh"sv), "x.tif"); },
                          {"[x.tif]", "TIFF", "convert"});
  expect_error<DataError>([] { (void)decode_image(test::bytes_of("RIFF1234WEBPVP8 "), "x"); },
                          {"WebP", "convert"});
  auto bytes = test::sample_jpeg();
  for (std::size_t i = 0; i + 9 < bytes.size(); ++i)
    if (bytes[i] == 0xFF && bytes[i + 1] == 0xC0) bytes[i + 9] = 4;
  expect_error<DataError>([&] { (void)decode_image(bytes, "x"); }, {"[x]", "CMYK", "Adobe"});
}

}  // namespace
}  // namespace branchy
