// Functions of variables that are no layers: sums, losses, concatenation, channel scaling.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "core/error.h"
#include "layers/add.h"
#include "layers/binary_cross_entropy.h"
#include "layers/concat.h"
#include "layers/distillation_loss.h"
#include "layers/dropout.h"
#include "layers/scale_channels.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "tests/support/expect_error.h"
#include "tests/support/reference_ops.h"

namespace branchy {
namespace {

using Function = std::function<Variable(const std::vector<Variable>&)>;

/// Central differences of dot(output, direction) for every element of every input, step 1e-2,
/// tolerance 1e-3 of the value (at least 1). Inputs keep away from kinks.
void expect_numeric_gradients(const std::vector<Tensor>& inputs, const Function& function) {
  std::vector<Variable> variables;
  for (const Tensor& input : inputs) variables.emplace_back(input, true);
  const Variable dst = function(variables);
  const Tensor direction = test::random_tensor(dst.shape(), 77);
  dst.backward(direction);
  const NoGradGuard guard;
  for (std::size_t v = 0; v < inputs.size(); ++v) {
    Tensor values = inputs[v];
    for (std::size_t i = 0; i < values.data().size(); ++i) {
      const float original = values.data()[i];
      const auto objective = [&](float value) {
        values.mutable_data()[i] = value;
        return test::dot(function(variables).value(), direction);
      };
      constexpr float kStep = 1e-2F;
      const double slope = (objective(original + kStep) - objective(original - kStep)) /
                           (2.0 * static_cast<double>(kStep));
      values.mutable_data()[i] = original;
      EXPECT_NEAR(variables[v].grad().data()[i], slope, 1e-3 * std::max(1.0, std::abs(slope)))
          << "input " << v << " element " << i;
    }
  }
}

TEST(Add, SumsAndPassesTheGradientOn) {
  const Shape shape{2, 3, 2, 2};
  const std::vector<Tensor> inputs{test::random_tensor(shape, 1), test::random_tensor(shape, 2)};
  expect_numeric_gradients(inputs, [](const auto& v) { return add(v[0], v[1]); });
  expect_numeric_gradients({inputs[0]}, [](const auto& v) { return add(v[0], v[0]); });
  test::expect_error<ShapeError>(
      [&] {
        static_cast<void>(add(Variable(inputs[0]), Variable(Tensor::zeros(Shape{2, 3}))));
      },
      {"[2,3,2,2]", "[2,3]"});
}

TEST(Concat, JoinsChannelsAndSplitsTheGradient) {
  const std::vector<Tensor> parts{test::random_tensor(Shape{2, 3, 2, 2}, 4),
                                  test::random_tensor(Shape{2, 1, 2, 2}, 5),
                                  test::random_tensor(Shape{2, 2, 2, 2}, 6)};
  const Variable whole = concat(std::vector<Variable>{Variable(parts[0]), Variable(parts[1])});
  EXPECT_EQ(whole.shape(), (Shape{2, 4, 2, 2}));
  EXPECT_EQ(whole.value().data()[12], parts[1].data()[0]) << "channel 3 of sample 0";
  EXPECT_EQ(whole.value().data()[16], parts[0].data()[12]) << "channel 0 of sample 1";
  expect_numeric_gradients(parts, [](const auto& v) { return concat(v); });
  test::expect_error<ShapeError>([] { static_cast<void>(concat({})); }, {"nothing"});
  test::expect_error<ShapeError>(
      [&] {
        static_cast<void>(concat(
            std::vector<Variable>{Variable(parts[0]), Variable(Tensor::zeros(Shape{2, 3, 2, 3}))}));
      },
      {"[2,3,2,2]", "[2,3,2,3]"});
}

TEST(ScaleChannels, ScalesAndDifferentiatesBoth) {
  const Tensor x = test::random_tensor(Shape{2, 3, 2, 3}, 7);
  const Tensor s = test::random_tensor(Shape{2, 3}, 8);
  const auto function = [](const auto& v) { return scale_channels(v[0], v[1]); };
  expect_numeric_gradients({x, s}, function);
  expect_numeric_gradients({x, test::random_tensor(Shape{2, 3, 1, 1}, 9)}, function);
  test::expect_error<ShapeError>(
      [&] {
        static_cast<void>(scale_channels(Variable(x), Variable(Tensor::zeros(Shape{3, 2}))));
      },
      {"[2,3,2,3]", "[3,2]"});
}

double reference_cross_entropy(const Tensor& logits, const std::vector<std::int64_t>& labels,
                               double smoothing) {
  const std::int64_t classes = logits.dim(1);
  double loss = 0.0;
  for (std::int64_t n = 0; n < logits.dim(0); ++n) {
    const auto row = logits.data().subspan(static_cast<std::size_t>(n * classes),
                                           static_cast<std::size_t>(classes));
    double sum = 0.0;
    for (const float value : row) sum += std::exp(static_cast<double>(value));
    for (std::int64_t k = 0; k < classes; ++k) {
      const double q = smoothing / static_cast<double>(classes) +
                       (k == labels[static_cast<std::size_t>(n)] ? 1.0 - smoothing : 0.0);
      loss -= q * std::log(std::exp(static_cast<double>(row[static_cast<std::size_t>(k)])) / sum);
    }
  }
  return loss / static_cast<double>(logits.dim(0));
}

TEST(SoftmaxCrossEntropy, EqualsItsDefinitionWithAndWithoutSmoothing) {
  const std::vector<std::int64_t> labels{2, 0, 4};
  Tensor logits = test::random_tensor(Shape{3, 5}, 10);
  for (const float smoothing : {0.0F, 0.1F}) {
    const double loss = softmax_cross_entropy(Variable(logits), labels, smoothing).value().item();
    EXPECT_NEAR(loss, reference_cross_entropy(logits, labels, smoothing), 1e-6);
    expect_numeric_gradients(
        {logits}, [&](const auto& v) { return softmax_cross_entropy(v[0], labels, smoothing); });
  }
}

TEST(SoftmaxCrossEntropy, StaysFiniteForExtremeLogits) {
  const Variable logits(Tensor::from(Shape{2, 2}, std::vector<float>{1e4F, -1e4F, -1e4F, 1e4F}),
                        true);
  const Variable loss = softmax_cross_entropy(logits, std::vector<std::int64_t>{0, 0}, 0.0F);
  EXPECT_NEAR(loss.value().item(), 1e4, 1.0);
  loss.backward();
  for (const float value : logits.grad().data()) EXPECT_TRUE(std::isfinite(value));
}

TEST(SoftmaxCrossEntropy, NamesWrongLabels) {
  const Variable logits(Tensor::zeros(Shape{2, 3}));
  const auto loss = [&](std::vector<std::int64_t> labels, float smoothing) {
    return [&logits, labels, smoothing] {
      static_cast<void>(softmax_cross_entropy(logits, labels, smoothing));
    };
  };
  test::expect_error<ShapeError>(loss({1}, 0.0F), {"[2,3]"});
  test::expect_error<DataError>(loss({0, 3}, 0.0F), {"3", "0 to 2"});
  test::expect_error<DataError>(loss({0, -1}, 0.0F), {"-1"});
  test::expect_error<ConfigError>(loss({0, 1}, 1.0F), {"smoothing"});
}

double reference_distillation(const Tensor& logits, const Tensor& teacher, double temperature) {
  const auto classes = static_cast<std::size_t>(logits.dim(1));
  double loss = 0.0;
  for (std::size_t row = 0; row < logits.data().size(); row += classes) {
    const auto softened = [&](const Tensor& values) {
      std::vector<double> p;
      double sum = 0.0;
      for (std::size_t k = 0; k < classes; ++k) {
        p.push_back(std::exp(static_cast<double>(values.data()[row + k]) / temperature));
        sum += p.back();
      }
      for (double& value : p) value /= sum;
      return p;
    };
    const std::vector<double> p = softened(teacher);
    const std::vector<double> q = softened(logits);
    for (std::size_t k = 0; k < classes; ++k) loss += p[k] * std::log(p[k] / q[k]);
  }
  return temperature * temperature * loss / static_cast<double>(logits.dim(0));
}

TEST(DistillationLoss, EqualsItsDefinitionAndDifferentiatesTheStudent) {
  Tensor logits = test::random_tensor(Shape{3, 5}, 12);
  Tensor teacher = test::random_tensor(Shape{3, 5}, 13);
  for (float& value : teacher.mutable_data()) value *= 4.0F;
  for (const float temperature : {0.5F, 1.0F, 3.0F}) {
    const double loss = distillation_loss(Variable(logits), teacher, temperature).value().item();
    EXPECT_NEAR(loss, reference_distillation(logits, teacher, temperature), 1e-5);
    expect_numeric_gradients(
        {logits}, [&](const auto& v) { return distillation_loss(v[0], teacher, temperature); });
  }
  EXPECT_EQ(distillation_loss(Variable(logits), logits, 3.0F).value().item(), 0.0F);
}

TEST(DistillationLoss, StaysFiniteForExtremeLogitsAndRefusesTheRest) {
  const Variable logits(Tensor::from(Shape{1, 2}, std::vector<float>{1e4F, -1e4F}), true);
  const Tensor teacher = Tensor::from(Shape{1, 2}, std::vector<float>{-1e4F, 1e4F});
  const Variable loss = distillation_loss(logits, teacher, 1.0F);
  EXPECT_NEAR(loss.value().item(), 2e4, 1.0);
  loss.backward();
  EXPECT_EQ(logits.grad().data()[0], 1.0F);
  test::expect_error<ShapeError>(
      [&] {
        static_cast<void>(distillation_loss(logits, Tensor::zeros(Shape{2, 1}), 1.0F));
      },
      {"[1,2]", "[2,1]"});
  for (const float temperature : {0.0F, -1.0F, std::nanf("")})
    test::expect_error<ConfigError>(
        [&] { static_cast<void>(distillation_loss(logits, teacher, temperature)); },
        {"temperature"});
}

TEST(BinaryCrossEntropy, EqualsItsDefinition) {
  const Tensor logits = test::random_tensor(Shape{3, 2}, 11);
  const Tensor targets = Tensor::from(Shape{3, 2}, std::vector<float>{0, 1, 1, 0, 0.25F, 1});
  double expected = 0.0;
  for (std::size_t i = 0; i < 6; ++i) {
    const double s = 1.0 / (1.0 + std::exp(-static_cast<double>(logits.data()[i])));
    const double t = targets.data()[i];
    expected -= (t * std::log(s) + (1.0 - t) * std::log(1.0 - s)) / 6.0;
  }
  EXPECT_NEAR(binary_cross_entropy(Variable(logits), targets).value().item(), expected, 1e-6);
  expect_numeric_gradients({logits},
                           [&](const auto& v) { return binary_cross_entropy(v[0], targets); });
}

TEST(BinaryCrossEntropy, StaysFiniteAndNamesWrongTargets) {
  const Variable logits(Tensor::from(Shape{2}, std::vector<float>{-1e4F, 1e4F}), true);
  const Variable loss =
      binary_cross_entropy(logits, Tensor::from(Shape{2}, std::vector<float>{1, 0}));
  EXPECT_NEAR(loss.value().item(), 1e4, 1.0);
  loss.backward();
  EXPECT_EQ(logits.grad().data()[0], -0.5F);
  EXPECT_EQ(logits.grad().data()[1], 0.5F);
  test::expect_error<DataError>(
      [&] { static_cast<void>(binary_cross_entropy(logits, Tensor::full(Shape{2}, 1.5F))); },
      {"1.5"});
  test::expect_error<ShapeError>(
      [&] { static_cast<void>(binary_cross_entropy(logits, Tensor::zeros(Shape{3}))); },
      {"[2]", "[3]"});
}

TEST(WeightedSum, WeighsLossesAndTheirGradients) {
  const std::vector<float> weights{0.3F, 0.0F, 0.7F};
  const std::vector<Tensor> losses{Tensor::full(Shape{}, 2.0F), Tensor::full(Shape{}, 3.0F),
                                   Tensor::full(Shape{}, 5.0F)};
  const auto function = [&](const auto& v) { return weighted_sum(v, weights); };
  std::vector<Variable> variables(losses.begin(), losses.end());
  EXPECT_NEAR(function(variables).value().item(), 4.1F, 1e-6F);
  expect_numeric_gradients(losses, function);
  test::expect_error<ShapeError>(
      [&] { static_cast<void>(weighted_sum(variables, std::vector<float>{1.0F})); }, {"3", "1"});
}

TEST(Dropout, DropsTheStatedShareAndKeepsTheMean) {
  Dropout dropout(0.25F);
  dropout.set_name("classifier.drop1");
  const Variable ones(Tensor::full(Shape{100, 200}, 1.0F), true);
  const Variable dst = dropout.forward(ones, {.mode = Mode::kTrain, .seed = 3});
  std::int64_t dropped = 0;
  for (const float value : dst.value().data()) {
    if (value == 0.0F)
      ++dropped;
    else
      EXPECT_FLOAT_EQ(value, 1.0F / 0.75F);
  }
  EXPECT_NEAR(static_cast<double>(dropped) / 20000.0, 0.25, 0.015);  // 5 standard deviations
  dst.backward(Tensor::full(dst.shape(), 1.0F));
  EXPECT_EQ(test::relative_error(ones.grad(), dst.value()), 0.0) << "the same mask in backward";
}

TEST(Dropout, RepeatsPerSeedAndDiffersPerNameAndSeed) {
  const Variable ones(Tensor::full(Shape{64}, 1.0F));
  const auto run = [&](const std::string& name, std::uint64_t seed) {
    Dropout dropout(0.5F);
    dropout.set_name(name);
    return dropout.forward(ones, {.mode = Mode::kTrain, .seed = seed}).value();
  };
  EXPECT_EQ(test::relative_error(run("a", 1), run("a", 1)), 0.0);
  EXPECT_GT(test::relative_error(run("a", 1), run("b", 1)), 0.0);
  EXPECT_GT(test::relative_error(run("a", 1), run("a", 2)), 0.0);
  Dropout dropout(0.5F);
  EXPECT_TRUE(
      dropout.forward(ones, {.mode = Mode::kEval}).value().shares_storage_with(ones.value()));
  test::expect_error<ConfigError>([] { Dropout(1.0F); }, {"[dropout]", "1"});
}

}  // namespace
}  // namespace branchy
