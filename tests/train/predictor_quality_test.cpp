#include "train/predictor_quality.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/rng.h"

namespace branchy {
namespace {

TEST(PredictorQuality, AreaUnderRocCountsPairs) {
  Rng rng(2);
  std::vector<float> scores, targets;
  for (int i = 0; i < 300; ++i) {
    targets.push_back(rng.uniform() < 0.3F ? 1.0F : 0.0F);
    scores.push_back(static_cast<float>(rng.below(12)) / 12.0F + 0.1F * targets.back());  // ties
  }
  double won = 0.0;
  double pairs = 0.0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    for (std::size_t j = 0; j < scores.size(); ++j) {
      if (targets[i] != 1.0F || targets[j] != 0.0F) continue;
      pairs += 1.0;
      won += scores[i] > scores[j] ? 1.0 : scores[i] == scores[j] ? 0.5 : 0.0;
    }
  }
  EXPECT_NEAR(area_under_roc(scores, targets), won / pairs, 1e-12);
  EXPECT_TRUE(std::isnan(area_under_roc(scores, std::vector<float>(300, 1.0F))));
}

TEST(PredictorQuality, ByExit) {
  const Tensor scores = Tensor::from(Shape{4, 2}, std::vector<float>{0.9F, 0, 0.5F, 1, 0.2F, 0,  //
                                                                     0.1F, 1});
  const Tensor targets = Tensor::from(Shape{4, 2}, std::vector<float>{1, 0, 1, 1, 0, 1, 1, 0});
  const auto quality = predictor_quality(scores, targets);
  ASSERT_EQ(quality.size(), 2U);
  EXPECT_DOUBLE_EQ(quality[0].share_of_ones, 0.75);
  EXPECT_DOUBLE_EQ(quality[0].accuracy, 0.75);
  EXPECT_DOUBLE_EQ(quality[0].auroc, 2.0 / 3.0);
  EXPECT_NEAR(quality[0].cross_entropy,
              -(std::log(0.9) + std::log(0.5) + std::log(0.8) + std::log(0.1)) / 4.0, 1e-6);
  EXPECT_DOUBLE_EQ(quality[1].accuracy, 0.5);
  EXPECT_DOUBLE_EQ(quality[1].auroc, 0.5);
  EXPECT_NEAR(quality[1].cross_entropy, -std::log(1e-7) / 2.0, 1e-3) << "finite where sure";
}

}  // namespace
}  // namespace branchy
