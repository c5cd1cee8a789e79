#include "data/jpeg_images.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "data/synth.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

Image smooth_image() {
  Image image{.height = 24, .width = 40, .pixels = std::vector<std::uint8_t>(3 * 24 * 40)};
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] =
        static_cast<std::uint8_t>(128.0 + 90.0 * std::sin(0.15 * static_cast<double>(i % 40)) *
                                              std::cos(0.2 * static_cast<double>(i / 40 % 24)));
  return image;
}

double mean_error(const Image& a, const Image& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    sum += std::abs(static_cast<double>(a.pixels[i]) - static_cast<double>(b.pixels[i]));
  return sum / static_cast<double>(a.pixels.size());
}

TEST(JpegImages, TradeBytesForErrorsByQuality) {
  const Image image = smooth_image();
  double last_error = 0.0;
  std::int64_t last_bytes = 1 << 30;
  for (const std::int64_t quality : {100, 75, 20}) {
    const auto file = encode_jpeg(image, quality);
    const Image back = decode_image(file, "test");
    ASSERT_EQ(back.height, image.height);
    ASSERT_EQ(back.width, image.width);
    const double error = mean_error(image, back);
    EXPECT_GT(error, last_error) << quality;
    EXPECT_LT(error, 8.0) << quality;
    const JpegBytes bytes = count_jpeg_bytes(file);
    EXPECT_EQ(bytes.file, std::ssize(file));
    EXPECT_LT(bytes.file, last_bytes) << quality;
    // The marker of the scan, its 12 bytes, the data, the end marker.
    const auto start = file.size() - static_cast<std::size_t>(bytes.scan) - 2 - 14;
    EXPECT_EQ(file[start], 0xFF);
    EXPECT_EQ(file[start + 1], 0xDA);
    last_error = error;
    last_bytes = bytes.file;
  }
  test::expect_error<ConfigError>([&] { static_cast<void>(encode_jpeg(image, 0)); },
                                  {"quality 0", "1 to 100"});
}

TEST(JpegImages, AreADataSetLikeTheirBase) {
  test::TemporaryDirectory folder;
  write_synth_dataset(folder.path(), {.num_train = 50, .num_test = 10, .seed = 5});
  const auto base = open_dataset("cifar10:" + folder.path().string(), DatasetSplit::kTest);
  const JpegImages images(base, 60);
  EXPECT_EQ(images.size(), base->size());
  EXPECT_EQ(images.label(3), base->label(3));
  std::vector<std::uint8_t> pixels(3 * 32 * 32);
  images.read(3, pixels);
  EXPECT_EQ(pixels, decode_image(images.file(3), "test").pixels);
  EXPECT_THROW(static_cast<void>(count_jpeg_bytes({1, 2, 3})), DataError);
}

}  // namespace
}  // namespace branchy
