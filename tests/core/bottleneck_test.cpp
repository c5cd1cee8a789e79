// The fused body of an inverted residual block agrees with its six operations one after the other,
// however many images it works on together.
#include "core/kernels/bottleneck.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "core/dnn/convolution.h"
#include "core/rng.h"
#include "core/threads.h"

namespace branchy::kernels {
namespace {

Tensor random(const Shape& shape, std::uint64_t seed, float offset = 0.0F) {
  Rng rng(seed);
  Tensor tensor(shape);
  for (float& value : tensor.mutable_data()) value = offset + 0.5F * rng.normal();
  return tensor;
}

BatchNormParams random_norm(std::int64_t channels, std::uint64_t seed,
                            std::optional<ActivationKind> activation) {
  return {.scale = random(Shape{channels}, seed, 1.0F),
          .shift = random(Shape{channels}, seed + 1, 1.0F),
          .activation = activation};
}

BottleneckParams random_params(const BottleneckShape& s) {
  return {.expansion = random({s.hidden, s.src[1], 1, 1}, 1),
          .expansion_norm = random_norm(s.hidden, 2, ActivationKind::kRelu6),
          .depthwise = {random({s.hidden, 1, 3, 3}, 4), s.stride},
          .depthwise_norm = random_norm(s.hidden, 5, ActivationKind::kRelu6),
          .projection = random({s.out, s.hidden, 1, 1}, 7),
          .projection_norm = random_norm(s.out, 8, std::nullopt)};
}

struct Outcome {
  Tensor dst;
  BottleneckGradients gradients;
};

Outcome separately(const BottleneckShape& s, const BottleneckParams& p, const Tensor& src,
                   const Tensor& diff_dst) {
  const StatisticsOf of = StatisticsOf::kSource;
  dnn::Convolution expand({.src = s.src, .out = s.hidden});
  const Tensor expanded = expand.forward(src, p.expansion, {});
  const auto first = batch_norm(expanded, p.expansion_norm);
  dnn::Convolution depthwise({.src = first.dst.shape(),
                              .out = s.hidden,
                              .kernel = 3,
                              .stride = s.stride,
                              .padding = 1,
                              .groups = s.hidden});
  const Tensor convolved = depthwise.forward(first.dst, p.depthwise.weights, {});
  const auto second = batch_norm(convolved, p.depthwise_norm);
  dnn::Convolution project({.src = second.dst.shape(), .out = s.out});
  const Tensor projected = project.forward(second.dst, p.projection, {});
  const auto third = batch_norm(projected, p.projection_norm);

  const auto d3 = batch_norm_backward(diff_dst, projected, p.projection_norm, third.statistics, of);
  const auto d2 = batch_norm_backward(project.backward_data(d3.src, p.projection), convolved,
                                      p.depthwise_norm, second.statistics, of);
  const auto d1 = batch_norm_backward(depthwise.backward_data(d2.src, p.depthwise.weights),
                                      expanded, p.expansion_norm, first.statistics, of);
  return {.dst = third.dst,
          .gradients = {.src = expand.backward_data(d1.src, p.expansion),
                        .expansion = expand.backward_weights(src, d1.src).weights,
                        .depthwise = depthwise.backward_weights(first.dst, d2.src).weights,
                        .projection = project.backward_weights(second.dst, d3.src).weights,
                        .expansion_scale = d1.scale,
                        .expansion_shift = d1.shift,
                        .depthwise_scale = d2.scale,
                        .depthwise_shift = d2.shift,
                        .projection_scale = d3.scale,
                        .projection_shift = d3.shift}};
}

Outcome fused(const BottleneckShape& s, const BottleneckParams& p, const Tensor& src,
              const Tensor& diff_dst, std::int64_t most_floats) {
  Bottleneck bottleneck(s, most_floats);
  auto forward = bottleneck.forward(src, p);
  return {forward.dst, bottleneck.backward(diff_dst, forward.saved, p, true)};
}

void expect_near(const char* what, const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  double largest = 0.0;
  double difference = 0.0;
  for (std::size_t i = 0; i < a.data().size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(b.data()[i])));
    difference = std::max(
        difference, std::abs(static_cast<double>(a.data()[i]) - static_cast<double>(b.data()[i])));
  }
  EXPECT_LE(difference, 2e-5 * largest) << what;
}

void expect_near(const Outcome& a, const Outcome& b) {
  expect_near("dst", a.dst, b.dst);
  const BottleneckGradients& x = a.gradients;
  const BottleneckGradients& y = b.gradients;
  expect_near("src", x.src, y.src);
  expect_near("expansion", x.expansion, y.expansion);
  expect_near("depthwise", x.depthwise, y.depthwise);
  expect_near("projection", x.projection, y.projection);
  expect_near("expansion_scale", x.expansion_scale, y.expansion_scale);
  expect_near("expansion_shift", x.expansion_shift, y.expansion_shift);
  expect_near("depthwise_scale", x.depthwise_scale, y.depthwise_scale);
  expect_near("depthwise_shift", x.depthwise_shift, y.depthwise_shift);
  expect_near("projection_scale", x.projection_scale, y.projection_scale);
  expect_near("projection_shift", x.projection_shift, y.projection_shift);
}

class BottleneckTest : public ::testing::TestWithParam<BottleneckShape> {};

TEST_P(BottleneckTest, AgreesWithItsOperationsHoweverManyImagesAreTogether) {
  set_num_threads(std::min<std::int64_t>(2, num_available_cpus()));
  const BottleneckShape& shape = GetParam();
  const BottleneckParams params = random_params(shape);
  const Tensor src = random(shape.src, 11);
  const Tensor diff = random(Bottleneck(shape).forward(src, params).dst.shape(), 12);
  const Outcome expected = separately(shape, params, src, diff);
  expect_near(fused(shape, params, src, diff, Bottleneck::kFloatsTogether), expected);
  expect_near(fused(shape, params, src, diff, 1), expected);
  const std::int64_t two_images = 2 * 2 * shape.hidden * shape.src[2] * shape.src[3];
  expect_near(fused(shape, params, src, diff, two_images), expected);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, BottleneckTest,
    ::testing::Values(BottleneckShape{.src = {6, 24, 14, 14}, .hidden = 144, .out = 24},
                      BottleneckShape{.src = {6, 16, 15, 13}, .hidden = 48, .out = 20, .stride = 2},
                      BottleneckShape{.src = {5, 7, 8, 8}, .hidden = 13, .out = 9, .stride = 2}));

TEST(Bottleneck, LeavesOutTheGradientOfTheSourceThatNobodyWants) {
  set_num_threads(1);
  const BottleneckShape shape{.src = {2, 16, 6, 6}, .hidden = 32, .out = 16};
  const BottleneckParams params = random_params(shape);
  Bottleneck bottleneck(shape);
  const auto forward = bottleneck.forward(random(shape.src, 11), params);
  const auto gradients =
      bottleneck.backward(random(forward.dst.shape(), 12), forward.saved, params, false);
  EXPECT_FALSE(gradients.src.defined());
  EXPECT_TRUE(gradients.expansion.defined());
}

}  // namespace
}  // namespace branchy::kernels
