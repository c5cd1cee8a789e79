#include "data/image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "tests/data/cifar_files.h"
#include "tests/data/image_samples.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using test::expect_error;

const std::vector<std::uint8_t> kQuadrants = {255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255};

TEST(DecodeImage, GivesPlanesForEveryLosslessFormat) {
  for (const auto& bytes : {test::sample_ppm(), test::sample_png(), test::sample_bmp()}) {
    const Image image = decode_image(bytes, "image");
    EXPECT_EQ(image.height, 2);
    EXPECT_EQ(image.width, 2);
    EXPECT_EQ(image.pixels, kQuadrants);
  }
}

TEST(DecodeImage, DecodesJpegNearly) {
  const Image image = decode_image(test::sample_jpeg(), "image");
  ASSERT_EQ(image.height, 8);
  ASSERT_EQ(image.width, 8);
  EXPECT_NEAR(image.pixels[0], 255, 12);       // red corner
  EXPECT_NEAR(image.pixels[64 + 7], 255, 12);  // green corner
  EXPECT_NEAR(image.pixels[128 + 56], 255, 12);
}

TEST(DecodeImage, ExpandsGrey) {
  const Image image = decode_image(test::sample_pgm(), "image");
  EXPECT_EQ(image.height, 1);
  EXPECT_EQ(image.width, 3);
  EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{0, 100, 200, 0, 100, 200, 0, 100, 200}));
}

TEST(DecodeImage, NamesWhatIsNoImage) {
  for (const char* text : {"", "P", "GIF89a and more", "plain text", "\xFF\xD8"})
    expect_error<DataError>([&] { (void)decode_image(test::bytes_of(text), "x.jpg"); },
                            {"[x.jpg]", "no image"});
}

TEST(DecodeImage, NamesATruncatedImage) {
  auto png = test::sample_png();
  png.resize(50);
  expect_error<DataError>([&] { (void)decode_image(png, "x"); }, {"[x]", "damaged", "PNG chunk"});
  expect_error<DataError>([] { (void)decode_image(test::bytes_of("\x89PNG\r\n"), "x"); },
                          {"damaged"});
  auto ppm = test::sample_ppm();
  ppm.pop_back();
  expect_error<DataError>([&] { (void)decode_image(ppm, "x"); }, {"22 bytes", "truncated"});
}

TEST(DecodeImage, RefusesEveryTruncationOfAJpeg) {
  const auto whole = test::sample_jpeg();
  for (std::size_t length = 0; length < whole.size(); ++length)
    expect_error<DataError>([&] { (void)decode_image(std::span(whole).first(length), "x"); },
                            {"[x]"});
}

TEST(DecodeImage, NamesTheSizeOfABomb) {
  auto png = test::sample_png();
  for (const std::size_t at : {std::size_t{16}, std::size_t{20}}) {  // width, height
    png[at + 2] = 0xEA;
    png[at + 3] = 0x60;
  }
  expect_error<DataError>([&] { (void)decode_image(png, "x"); },
                          {"60000x60000 pixels", "sides of 1 to 16384", "shrink"});
  auto jpeg = test::sample_jpeg();
  for (std::size_t i = 0; i + 6 < jpeg.size(); ++i)
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC0) jpeg[i + 5] = 0xEA;  // high byte of the height
  expect_error<DataError>([&] { (void)decode_image(jpeg, "x"); },
                          {"8x59912 pixels", "sides of 1 to 16384", "shrink"});
}

TEST(DecodeImage, ScalesSixteenBitsAndSmallMaxima) {
  using namespace std::string_view_literals;
  const auto wide = test::bytes_of("P5 2 1 1000\n\x03\xE8\x01\xF4"sv);
  EXPECT_EQ(decode_image(wide, "x").pixels[0], 255);
  EXPECT_EQ(decode_image(wide, "x").pixels[1], 128);
  EXPECT_EQ(decode_image(test::bytes_of("P5 1 1 15 \x0F"sv), "x").pixels[0], 255);
}

TEST(DecodeImage, NamesADamagedPnmHeader) {
  for (const char* text : {"P6", "P6 ", "P5 2", "P5 2 2", "P5 2 2 0\n", "P5 2 2 65536\n",
                           "P5 2 -2 9 ", "P5 2 x 9 ", "P5 2 2 255"})
    expect_error<DataError>([&] { (void)decode_image(test::bytes_of(text), "x"); }, {"[x]"});
  expect_error<DataError>(
      [] { (void)decode_image(test::bytes_of("P5 99999999999999999999 2 255 "), "x"); },
      {"99999999x2"});
}

TEST(DecodeImage, RefusesAHuffmanTableOfTooManyCodes) {
  auto bytes = test::sample_jpeg();
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i)
    if (bytes[i] == 0xFF && bytes[i + 1] == 0xC4)
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(i) + 5, 16, std::uint8_t{200});
  expect_error<DataError>([&] { (void)decode_image(bytes, "x"); }, {"[x]", "Huffman"});
}

TEST(DecodeImage, RefusesAScanWithoutItsHuffmanTables) {
  auto bytes = test::sample_jpeg();
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i)
    if (bytes[i] == 0xFF && bytes[i + 1] == 0xC4) bytes[i + 1] = 0xEE;  // an application segment
  expect_error<DataError>([&] { (void)decode_image(bytes, "x"); }, {"[x]", "Huffman"});
}

TEST(DecodeImage, ReadsThroughComments) {
  using namespace std::string_view_literals;
  const auto bytes = test::bytes_of("P5 # wide\n1 # high\n1 255\n\x64"sv);
  EXPECT_EQ(decode_image(bytes, "x").pixels, (std::vector<std::uint8_t>{100, 100, 100}));
}

TEST(DecodeImage, RefusesBeforeItAllocates) {
  expect_error<DataError>([] { (void)decode_image(test::bytes_of("P6\n16000 16000\n255\n"), "x"); },
                          {"16000x16000", "at most 67108864 pixels"});
  expect_error<DataError>([] { (void)decode_image(test::sample_ppm(), "x", {.max_side = 1}); },
                          {"2x2", "sides of 1 to 1"});
  expect_error<DataError>(
      [] { (void)decode_image(test::sample_ppm(), "x", {.max_file_bytes = 4}); },
      {"23 bytes", "at most 4"});
  auto huge = test::sample_png();
  huge[16] = 0x7F;  // the top byte of the width
  expect_error<DataError>([&] { (void)decode_image(huge, "x"); }, {"[x]"});
}

TEST(ReadImage, ReadsAFileAndNamesAMissingOne) {
  const test::TemporaryDirectory directory;
  const auto bytes = test::sample_png();
  test::write_text(directory / "a.png", std::string(bytes.begin(), bytes.end()));
  EXPECT_EQ(read_image(directory / "a.png").pixels, kQuadrants);
  expect_error<IoError>([&] { (void)read_image(directory / "b.png"); }, {"b.png", "No such file"});
  expect_error<IoError>([&] { (void)read_image(directory.path()); }, {directory.path().string()});
}

TEST(ResizeImage, KeepsAnImageOfTheSameSize) {
  const Image image = decode_image(test::sample_png(), "image");
  EXPECT_EQ(resize_image(image, 2, 2).pixels, image.pixels);
}

TEST(ResizeImage, KeepsAConstantImage) {
  const Image image{.height = 7, .width = 5, .pixels = std::vector<std::uint8_t>(105, 77)};
  for (const auto& [height, width] : {std::pair{1, 1}, std::pair{3, 9}, std::pair{32, 32}})
    for (const std::uint8_t pixel : resize_image(image, height, width).pixels) ASSERT_EQ(pixel, 77);
}

TEST(ResizeImage, ShrinksWithTheWidenedTriangle) {
  // 4 to 2: the first output has its centre at 1 and support 2, weights 3:3:1 of 7.
  Image image{.height = 1, .width = 4, .pixels = {}};
  for (int c = 0; c < 3; ++c)
    for (const int value : {70, 140, 210, 0})
      image.pixels.push_back(static_cast<std::uint8_t>(value));
  const Image small = resize_image(image, 1, 2);
  EXPECT_EQ(small.pixels[0], std::lround((3 * 70 + 3 * 140 + 210) / 7.0));
  EXPECT_EQ(small.pixels[1], std::lround((140 + 3 * 210 + 3 * 0) / 7.0));
}

TEST(ResizeImage, EnlargesBetweenPixelCentres) {
  Image image{.height = 2, .width = 1, .pixels = {0, 100, 0, 100, 0, 100}};
  const Image large = resize_image(image, 4, 1);
  EXPECT_EQ(std::vector<std::uint8_t>(large.pixels.begin(), large.pixels.begin() + 4),
            (std::vector<std::uint8_t>{0, 25, 75, 100}));
}

TEST(ResizeImage, RejectsAbsurdSizes) {
  const Image image = decode_image(test::sample_png(), "image");
  for (const std::int64_t side : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 40})
    expect_error<ConfigError>([&] { (void)resize_image(image, side, 2); }, {std::to_string(side)});
}

}  // namespace
}  // namespace branchy
