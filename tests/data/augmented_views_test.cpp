#include "data/augmented_views.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "data/loader.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using Pixels = std::vector<std::uint8_t>;

/// Images of 3x8x8 with pixels that tell image and place.
class Ramps final : public Dataset {
 public:
  [[nodiscard]] std::int64_t size() const override { return 5; }
  [[nodiscard]] Shape image_shape() const override { return {3, 8, 8}; }
  [[nodiscard]] const std::vector<std::string>& class_names() const override { return names_; }
  [[nodiscard]] std::int64_t label(std::int64_t index) const override { return index % 2; }
  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override {
    std::iota(pixels.begin(), pixels.end(), static_cast<std::uint8_t>(1 + 10 * index));
  }
  [[nodiscard]] std::string checksum() const override { return "ramps"; }
  [[nodiscard]] Normalization normalization() const override { return {}; }

 private:
  std::vector<std::string> names_{"a", "b"};
};

Pixels image(const Dataset& data, std::int64_t index) {
  Pixels pixels(192);
  data.read(index, pixels);
  return pixels;
}

TEST(AugmentedViews, AreAFunctionOfSeedViewAndImage) {
  const auto base = std::make_shared<Ramps>();
  const AugmentedViews views(base, {.views = 3, .seed = 7});
  ASSERT_EQ(views.size(), 15);
  EXPECT_EQ(views.label(5 + 3), base->label(3));
  EXPECT_EQ(views.checksum(), "ramps");
  std::vector<Pixels> seen;
  for (std::int64_t i = 0; i < views.size(); ++i) {
    EXPECT_EQ(image(views, i), image(views, i));
    seen.push_back(image(views, i));
  }
  for (std::int64_t i = 0; i < 5; ++i)
    EXPECT_TRUE(seen[static_cast<std::size_t>(i)] != seen[static_cast<std::size_t>(i + 5)] ||
                seen[static_cast<std::size_t>(i)] != seen[static_cast<std::size_t>(i + 10)])
        << "three equal views of image " << i;
  const AugmentedViews more(base, {.views = 8, .seed = 7});
  for (std::int64_t i = 0; i < views.size(); ++i)
    EXPECT_EQ(image(more, i), seen[static_cast<std::size_t>(i)]) << "more views change none";
  const AugmentedViews other(base, {.views = 3, .seed = 8});
  std::int64_t equal = 0;
  for (std::int64_t i = 0; i < views.size(); ++i)
    equal += image(other, i) == seen[static_cast<std::size_t>(i)] ? 1 : 0;
  EXPECT_LT(equal, 3) << "another seed";
}

TEST(AugmentedViews, AreTheSameInAnyOrderOfReading) {
  const auto views =
      std::make_shared<AugmentedViews>(std::make_shared<Ramps>(), ViewOptions{.views = 4});
  Loader shuffled(views, {.batch = 3, .threads = 2, .seed = 5, .shuffle = true});
  shuffled.start_epoch(1);
  std::int64_t seen = 0;
  while (const auto batch = shuffled.next()) {
    for (std::size_t i = 0; i < batch->indices.size(); ++i, ++seen) {
      const Pixels expected = image(*views, batch->indices[i]);
      const auto values = batch->images.data().subspan(192 * i, 192);
      for (std::size_t pixel = 0; pixel < 192; ++pixel)
        ASSERT_FLOAT_EQ(values[pixel], static_cast<float>(expected[pixel]) / 255.0F);
    }
  }
  EXPECT_EQ(seen, 20);
}

TEST(AugmentedViews, WithoutAugmentationThereIsOneView) {
  const auto base = std::make_shared<Ramps>();
  const AugmentedViews plain(base, {.views = 1, .augmentation = Augmentation::kNone});
  EXPECT_EQ(image(plain, 4), image(*base, 4));
  test::expect_error<ConfigError>(
      [&] { AugmentedViews(base, {.views = 2, .augmentation = Augmentation::kNone}); },
      {"2 views", "none", "equal"});
  test::expect_error<ConfigError>([&] { AugmentedViews(base, {.views = 0}); }, {"0 views"});
}

}  // namespace
}  // namespace branchy
