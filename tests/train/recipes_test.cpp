#include "train/recipes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>

#include "core/error.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

// Section 2.4 of the facts on Pacheco et al.
TEST(FinetuneRecipe, PachecoIsWhatPaperAndCodeSay) {
  const RecipeOptions r = finetune_recipe("pacheco");
  EXPECT_EQ(r.optimizer, "adam");
  EXPECT_DOUBLE_EQ(r.backbone.rate, 1.5e-4);
  EXPECT_DOUBLE_EQ(r.rate, 5e-3);
  EXPECT_DOUBLE_EQ(r.exits.rate, 0.0);
  EXPECT_DOUBLE_EQ(r.classifier.rate, 0.0);
  EXPECT_DOUBLE_EQ(r.weight_decay, 5e-5);
  EXPECT_TRUE(r.decay_norm_and_bias);
  EXPECT_EQ(r.batch, 32);
  EXPECT_EQ(r.patience, 5);
  EXPECT_EQ(r.augment, "pacheco");
  const auto weights = exit_loss_weights(r.weighting, 6);
  EXPECT_DOUBLE_EQ(weights.front(), 0.15);
  EXPECT_DOUBLE_EQ(weights[1], 0.32);
  EXPECT_DOUBLE_EQ(weights.back(), 1.0);

  constexpr std::int64_t kSteps = 31;  // of an epoch
  for (const std::int64_t epochs : {std::int64_t{300}, std::int64_t{7}}) {
    const ScheduleParams schedule = make_schedule(scaled_to_epochs(r, epochs), kSteps);
    EXPECT_DOUBLE_EQ(learning_rate(schedule, 0), 5e-3);
    EXPECT_DOUBLE_EQ(learning_rate(schedule, kSteps - 1), 5e-3);
    EXPECT_NEAR(learning_rate(schedule, 5 * kSteps), 2.5e-3, 1e-12);
    EXPECT_NEAR(learning_rate(schedule, 10 * kSteps), 0.0, 1e-12);
    EXPECT_NEAR(learning_rate(schedule, 20 * kSteps), 5e-3, 1e-12);
  }
}

TEST(FinetuneRecipe, UnknownOneListsTheKnown) {
  test::expect_error<ConfigError>([] { static_cast<void>(finetune_recipe("paper")); },
                                  {"paper", "pacheco", "fast"});
}

TEST(ExitLossWeights, KnowThreeWays) {
  EXPECT_EQ(exit_loss_weights("ones", 2), (std::vector<double>{1.0, 1.0}));
  EXPECT_EQ(exit_loss_weights("pacheco", 1), (std::vector<double>{1.0}));
  EXPECT_EQ(exit_loss_weights("dong", 3), (std::vector<double>{0.2, 0.3, 0.5}));
  test::expect_error<ConfigError>([] { static_cast<void>(exit_loss_weights("even", 3)); },
                                  {"even", "pacheco"});
}

class OptimizerOfRecipe : public ::testing::Test {
 protected:
  OptimizerOfRecipe() {
    Rng rng(1);
    network_ = make_network({.name = "resnet44", .classes = 10, .early_exits = 2}, rng);
  }

  std::map<std::string, OptimizedParameter> parameters(const RecipeOptions& recipe) {
    std::map<std::string, OptimizedParameter> found;
    const auto optimizer = make_optimizer(recipe, *network_);
    for (const OptimizedParameter& parameter : optimizer->parameters())
      found.emplace(parameter.name, parameter);
    return found;
  }

  std::unique_ptr<MultiExitNetwork> network_;
};

TEST_F(OptimizerOfRecipe, EachGroupHasItsRateAndDecay) {
  RecipeOptions r = finetune_recipe("pacheco");
  r.classifier = {.rate = 1e-2, .weight_decay = 0.0};
  const auto found = parameters(r);
  EXPECT_NEAR(found.at("layer3.6.conv2.weight").rate_factor * r.rate, 1.5e-4, 1e-15);
  EXPECT_NEAR(found.at("exits.2.fc.weight").rate_factor * r.rate, 5e-3, 1e-15);
  EXPECT_NEAR(found.at("fc.weight").rate_factor * r.rate, 1e-2, 1e-15);
  EXPECT_LT(found.at("exits.2.fc.weight").weight_decay, 0.0F);
  EXPECT_EQ(found.at("fc.weight").weight_decay, 0.0F);
}

TEST_F(OptimizerOfRecipe, FrozenPartsAreNotOptimised) {
  network_->freeze({.blocks = 22, .classifier = true});
  for (const auto& [name, parameter] : parameters(finetune_recipe("fast")))
    EXPECT_TRUE(name.starts_with("exits.")) << name;
}

// Training from scratch with one rate: the order and factors of all parameters are the network's.
TEST_F(OptimizerOfRecipe, WithoutGroupsItIsTheWholeNetworkInOrder) {
  const auto optimizer = make_optimizer(recipe("fast"), *network_);
  std::size_t next = 0;
  for (const StateEntry& entry : network_->state()) {
    if (entry.is_buffer) continue;
    const OptimizedParameter& parameter = optimizer->parameters().at(next++);
    EXPECT_EQ(parameter.name, entry.name);
    EXPECT_EQ(parameter.rate_factor, 1.0);
    EXPECT_EQ(parameter.decays, entry.decays);
  }
  EXPECT_EQ(next, optimizer->parameters().size());
}

TEST(Recipe, NamesTheFlagOutOfRange) {
  const auto rejects = [](const char* flag, const auto& spoil) {
    RecipeOptions r = finetune_recipe("fast");
    spoil(r);
    test::expect_error<ConfigError>([&] { validate(r); }, {flag});
  };
  rejects("--optimizer", [](RecipeOptions& r) { r.optimizer = "lion"; });
  rejects("--lr-backbone", [](RecipeOptions& r) { r.backbone.rate = -1.0; });
  rejects("--lr-exits", [](RecipeOptions& r) { r.exits.rate = 1e300; });
  rejects("--weight-decay-classifier", [](RecipeOptions& r) { r.classifier.weight_decay = -2.0; });
  rejects("--weight-decay", [](RecipeOptions& r) { r.weight_decay = -1.0; });
  rejects("--drop-epochs", [](RecipeOptions& r) { r.drop_epochs = {3.0, -1.0}; });
  rejects("--drop-factor", [](RecipeOptions& r) { r.drop_factor = 0.0; });
  rejects("--clip-norm", [](RecipeOptions& r) { r.clip_norm = std::nan(""); });
  rejects("--weighting", [](RecipeOptions& r) { r.weighting = "uneven"; });
  rejects("--patience", [](RecipeOptions& r) { r.patience = -1; });
}

}  // namespace
}  // namespace branchy
