#include "layers/freezing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <map>
#include <memory>
#include <vector>

#include "core/error.h"
#include "layers/models/registry.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "tests/support/expect_error.h"
#include "tests/support/reference_ops.h"

namespace branchy {
namespace {

using Words = std::vector<std::string>;

class FreezingTest : public ::testing::Test {
 protected:
  FreezingTest() : network_(make(2)) {}

  static std::unique_ptr<MultiExitNetwork> make(std::int64_t early_exits) {
    Rng rng(1);
    return make_network({.name = "resnet44", .classes = 10, .early_exits = early_exits}, rng);
  }

  std::map<std::string, std::vector<float>> values() {
    std::map<std::string, std::vector<float>> values;
    for (const StateEntry& entry : network_->state()) {
      const auto data = entry.variable->value().data();
      values[entry.name].assign(data.begin(), data.end());
    }
    return values;
  }

  /// Forward in training mode and backward from all exits.
  void differentiate() {
    const std::vector<std::int64_t> labels{1, 2, 3};
    std::vector<Variable> losses;
    for (const Variable& logits : network_->forward(images_, {.mode = Mode::kTrain, .seed = 7}))
      losses.push_back(softmax_cross_entropy(logits, labels));
    weighted_sum(losses, std::vector<float>{0.2F, 0.3F, 0.5F}).backward();
  }

  std::unique_ptr<MultiExitNetwork> network_;
  Variable images_{test::random_tensor(Shape{3, 3, 32, 32}, 6)};
};

TEST_F(FreezingTest, ReadsEveryPart) {
  EXPECT_EQ(parse_frozen_parts(*network_, {}), FrozenParts{});
  EXPECT_EQ(parse_frozen_parts(*network_, {"backbone"}).blocks, 22);
  EXPECT_EQ(parse_frozen_parts(*network_, {"until:layer1.6"}).blocks, 8);
  EXPECT_EQ(parse_frozen_parts(*network_, {"until:stem", "until:layer1.0", "exits"}),
            (FrozenParts{.blocks = 2, .exits = true}));
  EXPECT_EQ(parse_frozen_parts(*network_, {"backbone", "classifier"}),
            (FrozenParts{.blocks = 22, .classifier = true}));
}

TEST_F(FreezingTest, NamesWhatIsWrong) {
  const auto rejects = [&](const Words& parts, std::initializer_list<std::string> words) {
    test::expect_error<ConfigError>(
        [&] { static_cast<void>(parse_frozen_parts(*network_, parts)); }, words);
  };
  rejects({"until:layer2.9"}, {"until:layer2.9", "near it", "layer2.0", "layer2.1"});
  rejects({"until:"}, {"near it"});
  rejects({"trunk"}, {"'trunk'", "backbone", "classifier"});
  rejects({"backbone", "exits", "classifier"}, {"nothing of resnet44 is left to train"});
  network_ = make(0);
  rejects({"backbone", "classifier"}, {"nothing of resnet44 is left to train"});
}

TEST_F(FreezingTest, FrozenPartsHaveNoGradientAndKeepTheirStatistics) {
  for (const Words& parts : {Words{"backbone"}, Words{"until:layer1.3"}, Words{"exits"},
                             Words{"backbone", "classifier"}}) {
    network_ = make(2);
    network_->freeze(parse_frozen_parts(*network_, parts));
    const auto before = values();
    differentiate();
    std::map<std::string, bool> trained;
    for (const StateEntry& entry : network_->trained_state(network_->whole()))
      trained[entry.name] = true;
    EXPECT_LT(trained.size(), before.size());
    for (const StateEntry& entry : network_->state()) {
      const bool is_trained = trained.contains(entry.name);
      const auto data = entry.variable->value().data();
      const auto& old = before.at(entry.name);
      if (!entry.is_buffer)
        EXPECT_EQ(entry.variable->grad().defined(), is_trained) << entry.name << " " << parts[0];
      else
        EXPECT_EQ(!std::equal(data.begin(), data.end(), old.begin()), is_trained)
            << entry.name << " " << parts[0];
    }
  }
}

TEST_F(FreezingTest, AFrozenNetworkTrainsAgainWhenReleased) {
  network_->freeze({.blocks = 5, .exits = true});
  network_->freeze({});
  differentiate();
  for (const StateEntry& entry : network_->state())
    EXPECT_TRUE(entry.is_buffer || entry.variable->grad().defined()) << entry.name;
}

TEST_F(FreezingTest, FrozenExitsAnswerInTrainingAsInEvaluation) {
  // Residual blocks start as the identity, whatever their statistics are.
  for (const StateEntry& entry : network_->state())
    if (entry.name.ends_with("bn2.weight")) entry.variable->mutable_value().fill(1.0F);
  network_->freeze({.blocks = 22, .classifier = true});
  const auto evaluated = network_->forward(images_, {.mode = Mode::kEval});
  const auto trained = network_->forward(images_, {.mode = Mode::kTrain, .seed = 3});
  const auto same = [&](std::size_t exit) {
    return std::equal(evaluated[exit].value().data().begin(), evaluated[exit].value().data().end(),
                      trained[exit].value().data().begin());
  };
  EXPECT_FALSE(same(0));
  EXPECT_FALSE(same(1));
  EXPECT_TRUE(same(2));
  EXPECT_FALSE(trained[2].tracks());
}

TEST_F(FreezingTest, DropoutOfAFrozenClassifierIsOff) {
  Rng rng(1);
  network_ = make_network({.name = "alexnet", .classes = 10, .early_exits = 2}, rng);
  network_->freeze({.classifier = true});
  const auto evaluated = network_->forward(images_, {.mode = Mode::kEval});
  const auto trained = network_->forward(images_, {.mode = Mode::kTrain, .seed = 3});
  EXPECT_TRUE(std::equal(evaluated[2].value().data().begin(), evaluated[2].value().data().end(),
                         trained[2].value().data().begin()));
}

TEST_F(FreezingTest, FeaturesAreReadWhereExitsHangAndTheFrozenTrunkEnds) {
  const auto depths = [&](std::int64_t blocks) {
    network_->freeze({.blocks = blocks});
    return network_->feature_depths();
  };
  using Depths = std::vector<std::int64_t>;
  EXPECT_EQ(depths(0), (Depths{0}));
  EXPECT_EQ(depths(1), (Depths{1}));
  EXPECT_EQ(depths(2), (Depths{2}));
  EXPECT_EQ(depths(5), (Depths{2, 5}));
  EXPECT_EQ(depths(22), (Depths{2, 9, 22}));
}

}  // namespace
}  // namespace branchy
