#include "train/train_options.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

TrainOptions valid_options() {
  TrainOptions options;
  options.data = "cifar10:somewhere";
  options.hyper = recipe("fast");
  return options;
}

// Section 3.2 of the facts on Dong et al.: batch 128, weight decay 5e-4, cosine 0.1 -> 1e-4 over
// 200 epochs, 20 more at 1e-4, momentum 0.9 without Nesterov, crop and flip.
TEST(Recipe, PaperIsWhatThePaperSays) {
  const RecipeOptions paper = recipe("paper");
  EXPECT_EQ(paper.epochs, 220);
  EXPECT_EQ(paper.batch, 128);
  EXPECT_EQ(paper.schedule, "cosine");
  EXPECT_DOUBLE_EQ(paper.rate, 0.1);
  EXPECT_DOUBLE_EQ(paper.end_rate, 1e-4);
  EXPECT_DOUBLE_EQ(paper.decay_epochs, 200);
  EXPECT_DOUBLE_EQ(paper.momentum, 0.9);
  EXPECT_FALSE(paper.nesterov);
  EXPECT_DOUBLE_EQ(paper.weight_decay, 5e-4);
  EXPECT_TRUE(paper.decay_norm_and_bias);
  EXPECT_DOUBLE_EQ(paper.ema_decay, 0.0);
  EXPECT_EQ(paper.augment, "crop-flip");
}

TEST(Recipe, KeepsItsShapeAtAnotherNumberOfEpochs) {
  const RecipeOptions half = scaled_to_epochs(recipe("paper"), 110);
  EXPECT_EQ(half.epochs, 110);
  EXPECT_DOUBLE_EQ(half.decay_epochs, 100);
  EXPECT_DOUBLE_EQ(scaled_to_epochs(recipe("fast"), 24).warmup_epochs, 5.0);
}

TEST(Recipe, UnknownOneListsTheKnown) {
  test::expect_error<ConfigError>([] { static_cast<void>(recipe("slow")); },
                                  {"slow", "paper", "fast"});
}

TEST(ExitWeights, DefaultsSumToOne) {
  for (std::int64_t exits = 1; exits <= 6; ++exits) {
    const auto weights = default_exit_weights(exits);
    EXPECT_EQ(static_cast<std::int64_t>(weights.size()), exits);
    EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), 1.0, 1e-12);
  }
  EXPECT_EQ(default_exit_weights(3), (std::vector<double>{0.2, 0.3, 0.5}));
}

TEST(TrainOptions, NameTheFlagOutOfRange) {
  EXPECT_NO_THROW(validate(valid_options()));
  const auto rejects = [](const char* flag, const auto& spoil) {
    TrainOptions options = valid_options();
    spoil(options);
    test::expect_error<ConfigError>([&] { validate(options); }, {flag});
  };
  rejects("--data", [](TrainOptions& o) { o.data.clear(); });
  rejects("--epochs", [](TrainOptions& o) { o.hyper.epochs = 0; });
  rejects("--batch", [](TrainOptions& o) { o.hyper.batch = 1; });
  rejects("--lr", [](TrainOptions& o) { o.hyper.rate = -0.1; });
  rejects("--end-lr", [](TrainOptions& o) { o.hyper.end_rate = 2.0 * o.hyper.rate; });
  rejects("--label-smoothing", [](TrainOptions& o) { o.hyper.label_smoothing = 1.0; });
  rejects("--ema", [](TrainOptions& o) { o.hyper.ema_decay = 1.0; });
  rejects("--exit-weights", [](TrainOptions& o) { o.exit_weights = {0.5, -0.1}; });
  rejects("--loader-threads", [](TrainOptions& o) { o.loader_threads = 0; });
  rejects("schedule", [](TrainOptions& o) { o.hyper.schedule = "sawtooth"; });
  rejects("--val", [](TrainOptions& o) { o.val = -2; });
  rejects("--init", [](TrainOptions& o) { o.weights.replace_head = true; });
  rejects("--val", [](TrainOptions& o) {
    o.hyper.patience = 3;
    o.val = 0;
  });
}

}  // namespace
}  // namespace branchy
