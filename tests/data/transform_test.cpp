#include "data/transform.h"

#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

const Shape kShape = {3, 8, 6};

/// Every pixel distinct and none black: 1 + its position.
std::vector<std::uint8_t> numbered() {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(kShape.size()));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i + 1);
  return pixels;
}

/// The crop as a plain reading of its definition.
std::uint8_t expected(const std::vector<std::uint8_t>& src, std::int64_t c, std::int64_t y,
                      std::int64_t x) {
  if (y < 0 || y >= kShape[1] || x < 0 || x >= kShape[2]) return 0;
  return src[static_cast<std::size_t>((c * kShape[1] + y) * kShape[2] + x)];
}

TEST(Augment, NoneCopies) {
  const auto src = numbered();
  std::vector<std::uint8_t> dst(src.size());
  Rng rng(1);
  augment(Augmentation::kNone, kShape, src, dst, rng);
  EXPECT_EQ(src, dst);
}

TEST(Augment, CropAndFlipAreShiftsOfAPaddedImage) {
  const auto src = numbered();
  std::set<std::tuple<std::int64_t, std::int64_t, bool>> seen;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    Rng rng(seed);
    std::vector<std::uint8_t> dst(src.size(), 255);
    augment(Augmentation::kCropFlip, kShape, src, dst, rng);
    bool found = false;
    for (std::int64_t dy = -4; dy <= 4 && !found; ++dy)
      for (std::int64_t dx = -4; dx <= 4 && !found; ++dx)
        for (const bool flip : {false, true}) {
          bool same = true;
          for (std::int64_t c = 0; c < 3; ++c)
            for (std::int64_t y = 0; y < kShape[1]; ++y)
              for (std::int64_t x = 0; x < kShape[2]; ++x)
                same = same && expected(src, c, y + dy, (flip ? kShape[2] - 1 - x : x) + dx) ==
                                   expected(dst, c, y, x);
          if (same) {
            seen.emplace(dy, dx, flip);
            found = true;
            break;
          }
        }
    ASSERT_TRUE(found) << "seed " << seed;
  }
  EXPECT_EQ(seen.size(), 9U * 9U * 2U);
}

TEST(AugmentationName, RoundTrips) {
  EXPECT_EQ(parse_augmentation_name("crop-flip"), Augmentation::kCropFlip);
  EXPECT_EQ(parse_augmentation_name("pacheco"), Augmentation::kPacheco);
  for (const char* name : {"none", "crop-flip", "pacheco", "imagenet"})
    EXPECT_EQ(augmentation_name(parse_augmentation_name(name)), name);
  test::expect_error<ConfigError>([] { (void)parse_augmentation_name("mixup"); },
                                  {"mixup", "imagenet"});
}

TEST(Normalize, SubtractsTheMeanAndDividesByTheDeviation) {
  const std::vector<std::uint8_t> src = {0, 255, 128, 51, 0, 255};
  std::vector<float> dst(src.size());
  normalize({.mean = {0.5F, 0.2F, 0.0F}, .std = {0.5F, 0.1F, 2.0F}}, src, dst);
  EXPECT_FLOAT_EQ(dst[0], -1.0F);
  EXPECT_FLOAT_EQ(dst[1], 1.0F);
  EXPECT_NEAR(dst[2], (128.0 / 255 - 0.2) / 0.1, 1e-5);
  EXPECT_NEAR(dst[3], 0.0, 1e-6);
  EXPECT_FLOAT_EQ(dst[4], 0.0F);
  EXPECT_FLOAT_EQ(dst[5], 0.5F);
}

}  // namespace
}  // namespace branchy
