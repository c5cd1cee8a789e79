#include "train/feature_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "core/error.h"
#include "core/threads.h"
#include "data/source.h"
#include "data/synth.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

class FeatureLoaderTest : public ::testing::Test {
 protected:
  FeatureLoaderTest() {
    set_num_threads(1);
    write_synth_dataset(folder_.path(), {.num_train = 100, .num_test = 50, .seed = 5});
    images_ = DataSource("cifar10:" + folder_.path().string(), {.val_count = 0}).train();
    Rng rng(1);
    network_ = make_network({.name = "resnet44", .classes = 10, .early_exits = 2}, rng);
    network_->freeze({.blocks = static_cast<std::int64_t>(network_->blocks().size())});
    trunk_ = std::make_shared<FrozenTrunk>(*network_);
  }

  static std::vector<FeatureBatch> epoch(FeatureLoader& loader, std::int64_t number = 0) {
    std::vector<FeatureBatch> batches;
    loader.start_epoch(number);
    while (auto batch = loader.next()) batches.push_back(std::move(*batch));
    return batches;
  }

  static double largest_difference(const Tensor& a, const Tensor& b) {
    double largest = 0.0;
    for (std::size_t i = 0; i < a.data().size(); ++i)
      largest = std::max(
          largest, std::abs(static_cast<double>(a.data()[i]) - static_cast<double>(b.data()[i])));
    return largest;
  }

  test::TemporaryDirectory folder_;
  std::shared_ptr<const Dataset> images_;
  std::unique_ptr<MultiExitNetwork> network_;
  std::shared_ptr<FrozenTrunk> trunk_;
  LoaderOptions shuffled_{
      .batch = 16, .seed = 4, .shuffle = true, .normalization = kCifar10Normalization};
};

TEST_F(FeatureLoaderTest, WithoutATrunkFeaturesAreTheImages) {
  FeatureLoader features(images_, shuffled_);
  Loader images(images_, shuffled_);
  images.start_epoch(3);
  for (const FeatureBatch& batch : epoch(features, 3)) {
    const auto wanted = images.next();
    ASSERT_EQ(batch.features.size(), 1U);
    EXPECT_EQ(largest_difference(batch.features[0].value(), wanted->images), 0.0);
    EXPECT_EQ(batch.labels, wanted->labels);
  }
  EXPECT_EQ(features.store(), nullptr);
}

TEST_F(FeatureLoaderTest, ATrunkGivesWhatTheNetworkComputes) {
  FeatureLoader features(images_, shuffled_, trunk_, {.enabled = false});
  Loader images(images_, shuffled_);
  images.start_epoch(0);
  const NoGradGuard no_grad;
  for (const FeatureBatch& batch : epoch(features)) {
    const auto wanted = network_->forward(Variable(images.next()->images), {.mode = Mode::kEval});
    const auto found = network_->forward_features(batch.features, {.mode = Mode::kEval});
    for (std::size_t i = 0; i < wanted.size(); ++i)
      EXPECT_LT(largest_difference(wanted[i].value(), found[i].value()), 1e-3) << "exit " << i + 1;
  }
}

TEST_F(FeatureLoaderTest, StoredValuesAreTheSameInMemoryAndInAFile) {
  FeatureLoader direct(images_, shuffled_, trunk_, {.enabled = false});
  FeatureLoader memory(images_, shuffled_, trunk_, {.memory_limit = 1 << 30});
  FeatureLoader file(images_, shuffled_, trunk_, {.memory_limit = 0, .folder = folder_.path()});
  for (const std::int64_t number : {2, 0}) {  // any epoch first
    const auto wanted = epoch(direct, number);
    const auto a = epoch(memory, number);
    const auto b = epoch(file, number);
    ASSERT_EQ(a.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(a[i].labels, wanted[i].labels);
      for (std::size_t f = 0; f < wanted[i].features.size(); ++f) {
        EXPECT_LT(largest_difference(a[i].features[f].value(), wanted[i].features[f].value()),
                  1e-4);
        EXPECT_EQ(largest_difference(a[i].features[f].value(), b[i].features[f].value()), 0.0);
      }
    }
  }
  EXPECT_FALSE(memory.store()->in_file());
  EXPECT_TRUE(file.store()->in_file());
  EXPECT_EQ(memory.memory_bytes(), memory.store()->bytes());
  EXPECT_EQ(file.memory_bytes(), 0);
  EXPECT_EQ(direct.memory_bytes(), 0);
}

TEST_F(FeatureLoaderTest, StoringStopsWithinABatchWhenToldTo) {
  FeatureLoader features(images_, shuffled_, trunk_, {.memory_limit = 1 << 30});
  int batches = 0;
  EXPECT_FALSE(features.prepare([&](double share) {
    EXPECT_GT(share, 0.0);
    ++batches;
    return false;
  }));
  EXPECT_EQ(batches, 1);
  EXPECT_EQ(features.store(), nullptr);
  EXPECT_TRUE(features.prepare([](double) { return true; }));
  EXPECT_NE(features.store(), nullptr);
}

TEST_F(FeatureLoaderTest, AugmentedImagesAreNotStored) {
  LoaderOptions augmented = shuffled_;
  augmented.augmentation = Augmentation::kCropFlip;
  FeatureLoader features(images_, augmented, trunk_, {.memory_limit = 1 << 30});
  const auto first = epoch(features, 0);
  EXPECT_EQ(features.store(), nullptr);
  EXPECT_EQ(first.size(), 7U);
}

TEST_F(FeatureLoaderTest, NoRoomIsAnErrorBeforeAnythingIsComputed) {
  test::expect_error<IoError>([&] { FeatureStore(1 << 30, 1 << 20, 0, folder_.path()); },
                              {"no room", "cache-features"});
  test::expect_error<IoError>([&] { FeatureStore(4, 4, 0, "/nonexistent"); }, {"/nonexistent"});
}

}  // namespace
}  // namespace branchy
