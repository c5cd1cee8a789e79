#include "optim/sgd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/dnn/inference_primitive.h"
#include "core/error.h"
#include "tests/optim/sized_parameters.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

class SgdTest : public ::testing::Test, protected test::SizedParameters {};

struct Reference {
  double momentum, weight_decay, rate;
  bool nesterov;
};

TEST_F(SgdTest, FollowsTheFormulaInDoubleForTenSteps) {
  for (const bool nesterov : {false, true}) {
    const Reference r{.momentum = 0.9, .weight_decay = 0.01, .rate = 0.05, .nesterov = nesterov};
    Sgd sgd(parameters(), {.momentum = 0.9F, .weight_decay = 0.01F, .nesterov = nesterov});
    std::vector<std::vector<double>> w = values();
    std::vector<std::vector<double>> v{std::vector<double>(w[0].size()),
                                       std::vector<double>(w[1].size())};
    for (int step = 0; step < 10; ++step) {
      set_gradients(1.0F);
      for (std::size_t p = 0; p < 2; ++p)
        for (std::size_t i = 0; i < w[p].size(); ++i) {
          const double decay = p == 0 ? r.weight_decay : 0.0;
          const double d = static_cast<double>(variables()[p].grad().data()[i]) + decay * w[p][i];
          v[p][i] = r.momentum * v[p][i] + d;
          w[p][i] -= r.rate * (r.nesterov ? d + r.momentum * v[p][i] : v[p][i]);
        }
      sgd.step(0.05F);
    }
    for (std::size_t p = 0; p < 2; ++p)
      for (std::size_t i = 0; i < w[p].size(); ++i)
        ASSERT_NEAR(static_cast<double>(variables()[p].value().data()[i]), w[p][i], 2e-5)
            << "nesterov " << nesterov << " parameter " << p << " element " << i;
  }
}

TEST_F(SgdTest, ClipsByTheGlobalNorm) {
  set_gradients(1.0F);
  double sum = 0.0;
  for (const Variable& variable : variables())
    for (const float g : variable.grad().data())
      sum += static_cast<double>(g) * static_cast<double>(g);
  const double norm = std::sqrt(sum);
  const float before = variables()[0].value().data()[0];
  const float diff = variables()[0].grad().data()[0];
  Sgd sgd(parameters(), {.momentum = 0.0F, .clip_norm = 2.0F});
  EXPECT_NEAR(sgd.step(1.0F), norm, 1e-6 * norm);
  EXPECT_NEAR(variables()[0].value().data()[0], before - diff * static_cast<float>(2.0 / norm),
              1e-6F);
}

TEST_F(SgdTest, GivesTheSameBitsWithAnyNumberOfThreads) {
  const auto steps = [](std::int64_t threads, bool nesterov) {
    const dnn::ThreadWidth width(threads);
    SizedParameters copy;
    Sgd sgd(copy.parameters(),
            {.momentum = 0.9F, .weight_decay = 0.01F, .nesterov = nesterov, .clip_norm = 2.0F});
    double norms = 0.0;
    for (int step = 0; step < 3; ++step) {
      copy.set_gradients(1.0F);
      norms += sgd.step(0.05F);
    }
    return std::pair(copy.values(), norms);
  };
  for (const bool nesterov : {false, true}) {
    const auto alone = steps(1, nesterov);
    for (const std::int64_t threads : {2, 3, 7})
      EXPECT_EQ(steps(threads, nesterov), alone) << threads;
  }
}

TEST_F(SgdTest, LeavesParametersWithoutGradientAlone) {
  const Tensor before = variables()[0].value().clone();
  Sgd sgd(parameters(), {.momentum = 0.9F, .weight_decay = 1.0F});
  sgd.step(1.0F);
  EXPECT_TRUE(std::equal(before.data().begin(), before.data().end(),
                         variables()[0].value().data().begin()));
}

TEST_F(SgdTest, GroupsHaveTheirOwnRatesAndDecay) {
  auto groups = parameters();
  groups[0].rate_factor = 0.25;
  groups[0].weight_decay = 0.5F;
  groups[1].decays = true;
  set_gradients(1.0F);
  const auto before = values();
  Sgd sgd(groups, {.momentum = 0.0F, .weight_decay = 0.1F});
  sgd.step(0.2F);
  for (const std::size_t p : {std::size_t{0}, std::size_t{1}}) {
    const double rate = p == 0 ? 0.05 : 0.2;
    const double decay = p == 0 ? 0.5 : 0.1;
    const double w = before[p][1];
    const auto g = static_cast<double>(variables()[p].grad().data()[1]);
    EXPECT_NEAR(values()[p][1], w - rate * (g + decay * w), 1e-6) << "parameter " << p;
  }
}

TEST_F(SgdTest, AGroupOfRateZeroStaysAsItIs) {
  auto groups = parameters();
  groups[0].rate_factor = 0.0;
  set_gradients(1.0F);
  const auto before = values();
  Sgd(groups, {.momentum = 0.9F, .weight_decay = 0.1F}).step(0.2F);
  EXPECT_EQ(values()[0], before[0]);
  EXPECT_NE(values()[1], before[1]);
  groups[0].rate_factor = -1.0;
  test::expect_error<ConfigError>([&] { Sgd(groups, {}); }, {"rate factor", "small"});
}

TEST_F(SgdTest, RejectsAbsurdParameters) {
  for (const SgdParams params :
       {SgdParams{.momentum = 1.0F}, SgdParams{.momentum = -0.1F}, SgdParams{.weight_decay = -1.0F},
        SgdParams{.momentum = 0.0F, .nesterov = true}})
    test::expect_error<ConfigError>([&] { Sgd(parameters(), params); }, {"[sgd]"});
}

}  // namespace
}  // namespace branchy
