#include "data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using test::expect_error;

/// Images of 3x8x8 whose pixels are a function of the index; can fail or be slow.
class FakeDataset final : public Dataset {
 public:
  explicit FakeDataset(std::int64_t size) : size_(size) {}
  [[nodiscard]] std::int64_t size() const override { return size_; }
  [[nodiscard]] Shape image_shape() const override { return shape; }
  [[nodiscard]] const std::vector<std::string>& class_names() const override { return names_; }
  [[nodiscard]] std::int64_t label(std::int64_t index) const override { return index % 7; }
  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override {
    ++reads;
    if (index == fails_at) throw DataError("[fake] record 17 is damaged; replace it");
    std::this_thread::sleep_for(delay);
    for (std::size_t i = 0; i < pixels.size(); ++i)
      pixels[i] = static_cast<std::uint8_t>(static_cast<std::size_t>(index) * 31 + i);
  }
  [[nodiscard]] std::string checksum() const override { return "none"; }
  [[nodiscard]] Normalization normalization() const override { return {}; }

  Shape shape = {3, 8, 8};
  std::int64_t fails_at = -1;
  std::chrono::microseconds delay{0};
  mutable std::atomic<std::int64_t> reads{0};

 private:
  std::int64_t size_;
  std::vector<std::string> names_ = std::vector<std::string>(7, "x");
};

LoaderOptions augmented(std::int64_t threads) {
  return {.batch = 16,
          .threads = threads,
          .seed = 5,
          .shuffle = true,
          .augmentation = Augmentation::kCropFlip,
          .normalization = kCifar10Normalization};
}

struct Epoch {
  std::vector<std::int64_t> indices, labels;
  std::vector<float> values;
  friend bool operator==(const Epoch&, const Epoch&) = default;
};

Epoch run_epoch(Loader& loader, std::int64_t epoch, std::int64_t first_batch = 0) {
  Epoch all;
  loader.start_epoch(epoch, first_batch);
  while (const std::optional<Batch> batch = loader.next()) {
    all.indices.insert(all.indices.end(), batch->indices.begin(), batch->indices.end());
    all.labels.insert(all.labels.end(), batch->labels.begin(), batch->labels.end());
    const auto values = batch->images.data();
    all.values.insert(all.values.end(), values.begin(), values.end());
    EXPECT_EQ(batch->images.shape(), (Shape{std::ssize(batch->labels), 3, 8, 8}));
  }
  EXPECT_FALSE(loader.next().has_value());
  return all;
}

TEST(Loader, WithoutShuffleKeepsTheOrder) {
  Loader loader(std::make_shared<FakeDataset>(100), {.batch = 16});
  EXPECT_EQ(loader.batches_per_epoch(), 7);
  EXPECT_FALSE(loader.next().has_value());
  const Epoch epoch = run_epoch(loader, 0);
  ASSERT_EQ(epoch.indices.size(), 100U);
  for (std::int64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(epoch.indices[static_cast<std::size_t>(i)], i);
    EXPECT_EQ(epoch.labels[static_cast<std::size_t>(i)], i % 7);
    EXPECT_FLOAT_EQ(epoch.values[static_cast<std::size_t>(i) * 192],
                    static_cast<float>(i * 31 % 256) / 255.0F);
  }
}

TEST(Loader, ShuffleHoldsEveryIndexOnceAndDiffersByEpoch) {
  Loader loader(std::make_shared<FakeDataset>(100), augmented(1));
  Epoch first = run_epoch(loader, 0);
  const Epoch second = run_epoch(loader, 1);
  EXPECT_NE(first.indices, second.indices);
  std::sort(first.indices.begin(), first.indices.end());
  for (std::int64_t i = 0; i < 100; ++i) EXPECT_EQ(first.indices[static_cast<std::size_t>(i)], i);
}

TEST(Loader, GivesTheSameAtAnyNumberOfThreads) {
  Loader one(std::make_shared<FakeDataset>(203), augmented(1));
  Loader many(std::make_shared<FakeDataset>(203), augmented(5));
  for (std::int64_t epoch = 0; epoch < 3; ++epoch)
    EXPECT_EQ(run_epoch(one, epoch), run_epoch(many, epoch));
}

TEST(Loader, EntersAnEpochAtAnyBatch) {
  Loader loader(std::make_shared<FakeDataset>(100), augmented(2));
  const Epoch whole = run_epoch(loader, 4);
  const Epoch tail = run_epoch(loader, 4, 3);
  EXPECT_TRUE(std::equal(tail.values.begin(), tail.values.end(),
                         whole.values.begin() + 3 * 16 * 192, whole.values.end()));
  EXPECT_TRUE(run_epoch(loader, 4, 7).indices.empty());
}

TEST(Loader, ANewEpochDropsTheOldOne) {
  Loader loader(std::make_shared<FakeDataset>(500), augmented(3));
  const Epoch expected = run_epoch(loader, 2);
  for (int i = 0; i < 50; ++i) {
    loader.start_epoch(i);
    for (int taken = 0; taken < i % 4; ++taken) EXPECT_TRUE(loader.next().has_value());
  }
  EXPECT_EQ(run_epoch(loader, 2), expected);
}

TEST(Loader, DropLastLeavesOutTheRest) {
  LoaderOptions options = augmented(2);
  options.drop_last = true;
  Loader loader(std::make_shared<FakeDataset>(100), options);
  EXPECT_EQ(loader.batches_per_epoch(), 6);
  EXPECT_EQ(run_epoch(loader, 0).indices.size(), 96U);
}

/// Waits for `count` reads and then a little longer for one too many.
void expect_reads(const FakeDataset& dataset, std::int64_t count) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (dataset.reads < count && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(dataset.reads, count);
}

TEST(Loader, PrefetchesNoMoreThanAsked) {
  const auto dataset = std::make_shared<FakeDataset>(1000);
  Loader loader(dataset, {.batch = 10, .threads = 4, .prefetch = 3});
  loader.start_epoch(0);
  expect_reads(*dataset, 30);
  (void)loader.next();
  expect_reads(*dataset, 40);
}

TEST(Loader, CountsTheWaiting) {
  const auto dataset = std::make_shared<FakeDataset>(8);
  dataset->delay = std::chrono::milliseconds(25);
  Loader loader(dataset, {.batch = 8});
  loader.start_epoch(0);
  EXPECT_EQ(loader.wait_seconds(), 0.0);
  (void)loader.next();
  EXPECT_GT(loader.wait_seconds(), 0.02);
}

TEST(Loader, AnErrorArrivesAfterTheBatchesBeforeIt) {
  const auto dataset = std::make_shared<FakeDataset>(100);
  dataset->fails_at = 17;
  Loader loader(dataset, {.batch = 4, .threads = 3});
  for (int round = 0; round < 2; ++round) {
    loader.start_epoch(round);
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(loader.next().has_value());
    expect_error<DataError>([&] { (void)loader.next(); }, {"record 17"});
    EXPECT_FALSE(loader.next().has_value());
  }
}

TEST(Loader, StopsAtAnyMoment) {
  for (int round = 0; round < 60; ++round) {
    const auto dataset = std::make_shared<FakeDataset>(200);
    dataset->delay = std::chrono::microseconds(round * 5);
    Loader loader(dataset, augmented(1 + round % 4));
    if (round % 5 != 0) loader.start_epoch(round);
    for (int taken = 0; taken < round % 3; ++taken) (void)loader.next();
  }
}

TEST(Loader, RejectsAbsurdOptions) {
  const auto dataset = std::make_shared<FakeDataset>(10);
  expect_error<ConfigError>([&] { Loader(dataset, {.batch = 0}); }, {"batch size is 0"});
  expect_error<ConfigError>([&] { Loader(dataset, {.threads = 0}); }, {"loader threads is 0"});
  expect_error<ConfigError>([&] { Loader(dataset, {.threads = 1 << 20}); }, {"1 to 256"});
  expect_error<ConfigError>([&] { Loader(dataset, {.prefetch = -1}); }, {"prefetch is -1"});
  expect_error<ConfigError>([] { Loader(std::make_shared<FakeDataset>(0), {}); }, {"empty"});
  const auto grey = std::make_shared<FakeDataset>(10);
  grey->shape = {1, 8, 8};
  expect_error<ConfigError>([&] { Loader(grey, {}); }, {"[1,8,8]", "[3,H,W]"});
  Loader loader(dataset, {.batch = 4});
  expect_error<ConfigError>([&] { loader.start_epoch(0, 4); }, {"batch 4", "0 to 3"});
  expect_error<ConfigError>([&] { loader.start_epoch(-1); }, {"epoch -1"});
}

}  // namespace
}  // namespace branchy
