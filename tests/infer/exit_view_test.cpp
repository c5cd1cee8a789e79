// The scores of an exit against double precision, and what a temperature must not change.
#include "infer/policies/exit_view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "tests/infer/exit_views.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using test::SampleExits;

std::vector<double> softmax(const std::vector<float>& logits, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  double sum = 0;
  for (const float logit : logits) sum += std::exp((logit - largest) / temperature);
  for (const float logit : logits) p.push_back(std::exp((logit - largest) / temperature) / sum);
  return p;
}

double entropy(const std::vector<double>& p) {
  double sum = 0;
  for (const double value : p) sum -= value > 0 ? value * std::log(value) : 0;
  return sum / std::log(static_cast<double>(p.size()));
}

TEST(ExitView, AgreesWithDoublePrecision) {
  Rng rng(4);
  for (int round = 0; round < 50; ++round) {
    std::vector<float> logits(static_cast<std::size_t>(2 + round));
    for (float& logit : logits) logit = rng.uniform(-12.0F, 12.0F);
    const float temperature = rng.uniform(0.3F, 3.0F);
    SampleExits exits;
    exits.logits(logits, temperature);
    auto p = softmax(logits, static_cast<double>(temperature));
    EXPECT_NEAR(exits[0].entropy, entropy(p), 1e-5) << "round " << round;
    std::vector<double> squares;
    double sum = 0;
    for (const double value : p) sum += value * value;
    for (const double value : p) squares.push_back(value * value / sum);
    EXPECT_NEAR(entropy_of_squares(exits[0].logits), entropy(squares), 1e-5) << "round " << round;
    std::sort(p.rbegin(), p.rend());
    EXPECT_NEAR(exits[0].prediction.confidence, p[0], 1e-5) << "round " << round;
    EXPECT_NEAR(exits[0].margin, p[0] - p[1], 1e-5) << "round " << round;
  }
}

TEST(ExitView, KnowsTheBorders) {
  SampleExits exits;
  exits.logits({0, 0, 0, 0}).logits({500, 0, 0, 0}).logits({7, 7, -300, -300});
  EXPECT_EQ(exits[0].entropy, 1.0F);
  EXPECT_EQ(exits[0].margin, 0.0F);
  EXPECT_EQ(exits[0].prediction.label, 0);
  EXPECT_EQ(exits[1].entropy, 0.0F) << "0 ln 0 counts as 0";
  EXPECT_EQ(exits[1].margin, 1.0F);
  EXPECT_EQ(exits[1].prediction.confidence, 1.0F);
  EXPECT_NEAR(exits[2].entropy, 0.5F, 1e-6);
  EXPECT_EQ(exits[2].margin, 0.0F);
}

TEST(ExitView, WithoutFiniteLogitsEveryScoreIsNaN) {
  const float nan = std::nanf("");
  const float inf = std::numeric_limits<float>::infinity();
  SampleExits exits;
  exits.logits({0, nan, 1}).logits({inf, 0, 1}).logits({nan, 0, 0});
  for (const ExitView& view : exits.views()) {
    EXPECT_TRUE(std::isnan(view.prediction.confidence));
    EXPECT_TRUE(std::isnan(view.entropy));
    EXPECT_TRUE(std::isnan(view.margin));
  }
}

// Two logits so near that their quotients round to the same number: the first would win.
TEST(ExitView, ATemperatureNeverChangesTheClass) {
  const float low = 1.9F;
  const float high = std::nextafter(low, 2.0F);
  bool met = false;
  for (const float temperature : {1.5F, 1.55F, 1.6F, 1.65F, 1.7F, 1.75F, 1.8F}) {
    SampleExits exits;
    exits.logits({low, high}, temperature);
    met = met || exits[0].logits[0] == exits[0].logits[1];
    EXPECT_EQ(exits[0].prediction.label, 1) << temperature;
  }
  EXPECT_TRUE(met) << "no temperature of the list makes the quotients equal";
}

TEST(ExitView, RefusesAnExitWithoutClasses) {
  test::expect_error<ShapeError>([] { static_cast<void>(make_exit_view(1, {}, 1.0F, {})); },
                                 {"no scores"});
}

}  // namespace
}  // namespace branchy
