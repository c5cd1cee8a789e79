#include "optim/sgd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

/// Two parameters of different size with gradients that follow the values.
class SgdTest : public ::testing::Test {
 protected:
  static constexpr std::int64_t kLarge = 70001;  // above the size that is split over threads

  SgdTest() {
    Rng rng(3);
    for (const std::int64_t size : {std::int64_t{5}, kLarge}) {
      Tensor value(Shape{size});
      for (float& v : value.mutable_data()) v = rng.normal();
      variables_.emplace_back(std::move(value), true);
    }
  }

  std::vector<OptimizedParameter> parameters() {
    return {{"small", &variables_[0], true}, {"large", &variables_[1], false}};
  }

  /// Gives every parameter the gradient sin(value) * scale.
  void set_gradients(float scale) {
    for (Variable& variable : variables_) {
      variable.clear_grad();
      Tensor diff(variable.shape());
      for (std::int64_t i = 0; i < diff.size(); ++i)
        diff.mutable_data()[i] = gradient(variable, i) * scale;
      const Variable copy = record("copy", variable.value(), {variable},
                                   [](const Tensor& d, Wanted) { return std::vector<Tensor>{d}; });
      copy.backward(diff);
    }
  }

  static float gradient(const Variable& variable, std::int64_t i) {
    return std::sin(variable.value().data()[static_cast<std::size_t>(i)]);
  }

  std::vector<Variable> variables_;
};

struct Reference {
  double momentum, weight_decay, rate;
  bool nesterov;
};

TEST_F(SgdTest, FollowsTheFormulaInDoubleForTenSteps) {
  for (const bool nesterov : {false, true}) {
    const Reference r{.momentum = 0.9, .weight_decay = 0.01, .rate = 0.05, .nesterov = nesterov};
    Sgd sgd(parameters(), {.momentum = 0.9F, .weight_decay = 0.01F, .nesterov = nesterov});
    std::vector<std::vector<double>> w(2), v(2);
    for (std::size_t p = 0; p < 2; ++p) {
      const auto data = variables_[p].value().data();
      w[p].assign(data.begin(), data.end());
      v[p].assign(data.size(), 0.0);
    }
    for (int step = 0; step < 10; ++step) {
      set_gradients(1.0F);
      for (std::size_t p = 0; p < 2; ++p)
        for (std::size_t i = 0; i < w[p].size(); ++i) {
          const double decay = p == 0 ? r.weight_decay : 0.0;
          const double d = static_cast<double>(variables_[p].grad().data()[i]) + decay * w[p][i];
          v[p][i] = r.momentum * v[p][i] + d;
          w[p][i] -= r.rate * (r.nesterov ? d + r.momentum * v[p][i] : v[p][i]);
        }
      sgd.step(0.05F);
    }
    for (std::size_t p = 0; p < 2; ++p)
      for (std::size_t i = 0; i < w[p].size(); ++i)
        ASSERT_NEAR(static_cast<double>(variables_[p].value().data()[i]), w[p][i], 2e-5)
            << "nesterov " << nesterov << " parameter " << p << " element " << i;
  }
}

TEST_F(SgdTest, ClipsByTheGlobalNorm) {
  set_gradients(1.0F);
  double sum = 0.0;
  for (const Variable& variable : variables_)
    for (const float g : variable.grad().data())
      sum += static_cast<double>(g) * static_cast<double>(g);
  const double norm = std::sqrt(sum);
  const float before = variables_[0].value().data()[0];
  const float diff = variables_[0].grad().data()[0];
  Sgd sgd(parameters(), {.momentum = 0.0F, .clip_norm = 2.0F});
  EXPECT_NEAR(sgd.step(1.0F), norm, 1e-6 * norm);
  EXPECT_NEAR(variables_[0].value().data()[0], before - diff * static_cast<float>(2.0 / norm),
              1e-6F);
}

TEST_F(SgdTest, LeavesParametersWithoutGradientAlone) {
  const Tensor before = variables_[0].value().clone();
  Sgd sgd(parameters(), {.momentum = 0.9F, .weight_decay = 1.0F});
  sgd.step(1.0F);
  EXPECT_TRUE(
      std::equal(before.data().begin(), before.data().end(), variables_[0].value().data().begin()));
}

TEST_F(SgdTest, RejectsAbsurdParameters) {
  for (const SgdParams params :
       {SgdParams{.momentum = 1.0F}, SgdParams{.momentum = -0.1F}, SgdParams{.weight_decay = -1.0F},
        SgdParams{.momentum = 0.0F, .nesterov = true}})
    test::expect_error<ConfigError>([&] { Sgd(parameters(), params); }, {"[sgd]"});
}

}  // namespace
}  // namespace branchy
