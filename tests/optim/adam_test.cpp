#include "optim/adam.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/error.h"
#include "tests/optim/sized_parameters.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

class AdamTest : public ::testing::Test, protected test::SizedParameters {};

TEST_F(AdamTest, FollowsTheFormulaInDoubleForTenSteps) {
  constexpr double kRate = 0.05, kDecay = 0.1, kBeta1 = 0.9, kBeta2 = 0.999;
  for (const bool decoupled : {false, true}) {
    Adam adam(parameters(), {.weight_decay = 0.1F, .decoupled = decoupled});
    auto w = values();
    const std::vector<std::vector<double>> zeros{std::vector<double>(w[0].size()),
                                                 std::vector<double>(w[1].size())};
    auto m = zeros, v = zeros;
    for (int step = 1; step <= 10; ++step) {
      set_gradients(1.0F);
      for (std::size_t p = 0; p < 2; ++p)
        for (std::size_t i = 0; i < w[p].size(); ++i) {
          const double decay = p == 0 ? kDecay : 0.0;
          double g = static_cast<double>(variables()[p].grad().data()[i]);
          if (decoupled)
            w[p][i] *= 1.0 - kRate * decay;
          else
            g += decay * w[p][i];
          m[p][i] = kBeta1 * m[p][i] + (1.0 - kBeta1) * g;
          v[p][i] = kBeta2 * v[p][i] + (1.0 - kBeta2) * g * g;
          w[p][i] -= kRate * m[p][i] / (1.0 - std::pow(kBeta1, step)) /
                     (std::sqrt(v[p][i] / (1.0 - std::pow(kBeta2, step))) + 1e-8);
        }
      adam.step(0.05F);
    }
    for (std::size_t p = 0; p < 2; ++p)
      for (std::size_t i = 0; i < w[p].size(); ++i) {
        // Where the gradient vanishes, rounding decides about the sign of the step.
        if (std::abs(w[p][i]) < 1e-3) continue;
        ASSERT_NEAR(values()[p][i], w[p][i], 5e-5)
            << "decoupled " << decoupled << " parameter " << p << " element " << i;
        if (p == 1) i += 96;  // all remainders of the vector length, not all elements
      }
  }
}

// PyTorch 1.13: ten steps from the same start with the gradient sin(w) (1 + t / 2), rate 0.05, from
// the sixth step 0.02.
TEST(Adam, AgreesWithPyTorch) {
  struct Golden {
    bool decoupled;
    float weight_decay;
    std::vector<float> wanted;
  };
  const std::vector<Golden> goldens{
      {false, 0.0F, {0.147894979F, -0.899572849F, 1.65145671F, 0.00281598186F}},
      {false, 0.1F, {0.147721738F, -0.898710251F, 1.64981377F, 0.00372985238F}},
      {true, 0.1F, {0.136154056F, -0.861676693F, 1.58792651F, 0.00254552672F}}};
  for (const Golden& golden : goldens) {
    Variable w(Tensor::from(Shape{4}, std::vector<float>{0.5F, -1.25F, 2.0F, -0.01F}), true);
    Adam adam({{"w", &w}}, {.weight_decay = golden.weight_decay, .decoupled = golden.decoupled});
    for (int t = 0; t < 10; ++t) {
      Tensor diff(Shape{4});
      for (std::size_t i = 0; i < 4; ++i)
        diff.mutable_data()[i] =
            std::sin(w.value().data()[i]) * (1.0F + 0.5F * static_cast<float>(t));
      w.clear_grad();
      record("copy", w.value(), {w}, [](const Tensor& d, Wanted) {
        return std::vector<Tensor>{d};
      }).backward(diff);
      adam.step(t < 5 ? 0.05F : 0.02F);
    }
    for (std::size_t i = 0; i < 4; ++i)
      EXPECT_NEAR(w.value().data()[i], golden.wanted[i], 2e-6F)
          << "decoupled " << golden.decoupled << " decay " << golden.weight_decay;
  }
}

TEST_F(AdamTest, ContinuesBitForBitFromItsState) {
  SizedParameters copy;
  const auto advance = [](SizedParameters& p, Adam& adam, int steps) {
    for (int i = 0; i < steps; ++i) {
      p.set_gradients(1.0F);
      adam.step(0.01F);
    }
  };
  Adam whole(parameters(), {.weight_decay = 0.1F});
  advance(*this, whole, 7);

  Adam first(copy.parameters(), {.weight_decay = 0.1F});
  advance(copy, first, 3);
  Adam second(copy.parameters(), {.weight_decay = 0.1F});
  const auto from = first.state();
  const auto to = second.state();
  ASSERT_EQ(from.size(), to.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    EXPECT_EQ(from[i].name, to[i].name);
    to[i].tensor->copy_from(*from[i].tensor);
  }
  advance(copy, second, 4);
  EXPECT_EQ(values(), copy.values());
}

TEST_F(AdamTest, LeavesParametersWithoutGradientAlone) {
  const auto before = values();
  Adam(parameters(), {.weight_decay = 1.0F, .decoupled = true}).step(1.0F);
  EXPECT_EQ(values(), before);
}

TEST_F(AdamTest, RejectsAbsurdParameters) {
  for (const AdamParams params :
       {AdamParams{.beta1 = 1.0}, AdamParams{.beta2 = -0.1}, AdamParams{.epsilon = 0.0},
        AdamParams{.beta1 = std::nan("")}, AdamParams{.weight_decay = -1.0F},
        AdamParams{.clip_norm = -1.0F}})
    test::expect_error<ConfigError>([&] { Adam(parameters(), params); }, {"[adam]"});
}

}  // namespace
}  // namespace branchy
