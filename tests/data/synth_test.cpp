#include "data/synth.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "data/dataset.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using test::expect_error;

std::shared_ptr<const Dataset> open(const test::TemporaryDirectory& directory, DatasetSplit split) {
  return open_dataset("cifar10:" + directory.path().string(), split);
}

TEST(Synth, WritesBalancedFilesThatTheReaderTakes) {
  const test::TemporaryDirectory directory;
  std::int64_t last = 0;
  const auto folder = write_synth_dataset(directory.path(), {.num_train = 500, .num_test = 100},
                                          [&](std::int64_t done, std::int64_t total) {
                                            EXPECT_GT(done, last);
                                            EXPECT_EQ(total, 600);
                                            last = done;
                                          });
  EXPECT_EQ(last, 600);
  EXPECT_EQ(folder, directory / "cifar-10-batches-bin");
  for (const auto& [split, size] :
       {std::pair{DatasetSplit::kTrain, 500}, std::pair{DatasetSplit::kTest, 100}}) {
    const auto dataset = open(directory, split);
    ASSERT_EQ(dataset->size(), size);
    std::array<int, 10> counts{};
    for (std::int64_t i = 0; i < size; ++i)
      ++counts.at(static_cast<std::size_t>(dataset->label(i)));
    for (const int count : counts) EXPECT_EQ(count, size / 10);
    EXPECT_EQ(dataset->class_names()[4], "star");
  }
}

TEST(Synth, IsAFunctionOfTheSeedAndNotOfTheThreads) {
  const test::TemporaryDirectory a, b, c;
  write_synth_dataset(a.path(), {.num_train = 100, .num_test = 20, .seed = 1, .threads = 1});
  write_synth_dataset(b.path(), {.num_train = 100, .num_test = 20, .seed = 1, .threads = 7});
  write_synth_dataset(c.path(), {.num_train = 100, .num_test = 20, .seed = 2});
  EXPECT_EQ(open(a, DatasetSplit::kTrain)->checksum(), open(b, DatasetSplit::kTrain)->checksum());
  EXPECT_EQ(open(a, DatasetSplit::kTest)->checksum(), open(b, DatasetSplit::kTest)->checksum());
  EXPECT_NE(open(a, DatasetSplit::kTrain)->checksum(), open(c, DatasetSplit::kTrain)->checksum());
}

/// Mean absolute difference of horizontal neighbours: noise, clutter and edges raise it.
double roughness(const std::vector<std::uint8_t>& pixels) {
  double sum = 0;
  for (std::size_t i = 1; i < pixels.size(); ++i)
    if (i % 32 != 0) sum += std::abs(int{pixels[i]} - int{pixels[i - 1]});
  return sum / static_cast<double>(pixels.size());
}

TEST(Synth, HardImagesAreRougherThanEasyOnes) {
  std::vector<std::uint8_t> pixels(3072);
  for (std::int64_t label = 0; label < 10; ++label) {
    std::array<double, 3> rough{};
    for (std::size_t level = 0; level < 3; ++level)
      for (std::uint64_t key = 0; key < 40; ++key) {
        draw_synth_image(label, 0.5F * static_cast<float>(level), key, pixels);
        rough.at(level) += roughness(pixels);
      }
    EXPECT_LT(1.2 * rough[0], rough[1]) << "class " << label;
    EXPECT_LT(1.2 * rough[1], rough[2]) << "class " << label;
  }
}

TEST(Synth, RejectsCountsThatDoNotFit) {
  const test::TemporaryDirectory directory;
  const auto write = [&](SynthOptions options) { write_synth_dataset(directory.path(), options); };
  expect_error<ConfigError>([&] { write({.num_train = 0}); }, {"0 training", "multiple of 50"});
  expect_error<ConfigError>([&] { write({.num_train = 51}); }, {"51 training"});
  expect_error<ConfigError>([&] { write({.num_train = std::int64_t{50} << 40}); }, {"--num-train"});
  expect_error<ConfigError>([&] { write({.num_test = 5}); }, {"5 test", "--num-test"});
  expect_error<ConfigError>([&] { write({.threads = -1}); }, {"-1 threads"});
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Synth, NamesADirectoryItCannotMake) {
  expect_error<IoError>([] { write_synth_dataset("/proc/nowhere", {}); }, {"/proc/nowhere"});
}

}  // namespace
}  // namespace branchy
