// A batch norm, sum and ReLU as one operation agree with the three one after the other.
#include "core/kernels/batch_norm_add.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/kernels/elementwise.h"
#include "core/rng.h"
#include "core/threads.h"

namespace branchy::kernels {
namespace {

Tensor random(const Shape& shape, std::uint64_t seed, float offset = 0.0F) {
  Rng rng(seed);
  Tensor tensor(shape);
  for (float& value : tensor.mutable_data()) value = offset + rng.normal();
  return tensor;
}

struct Inputs {
  explicit Inputs(const Shape& shape)
      : src(random(shape, 1, 2.0F)),
        other(random(shape, 2)),
        diff(random(shape, 3)),
        params{.scale = random(Shape{shape[1]}, 4, 1.0F), .shift = random(Shape{shape[1]}, 5)} {}
  Tensor src, other, diff;
  BatchNormParams params;
};

void expect_near(const Tensor& actual, const Tensor& expected, const char* what) {
  ASSERT_EQ(actual.shape(), expected.shape()) << what;
  double largest = 0.0;
  for (const float value : expected.data())
    largest = std::max(largest, std::abs(static_cast<double>(value)));
  for (std::size_t i = 0; i < actual.data().size(); ++i)
    ASSERT_NEAR(actual.data()[i], expected.data()[i], 1e-5 * largest) << what << ' ' << i;
}

class BatchNormAddTest : public ::testing::TestWithParam<Shape> {};

TEST_P(BatchNormAddTest, AgreesWithItsOperations) {
  const Inputs in(GetParam());
  const BatchNormResult fused = batch_norm_add_relu(in.src, in.other, in.params);
  const BatchNormResult norm = batch_norm(in.src, in.params);
  Tensor sum = add(norm.dst, in.other);
  for (float& value : sum.mutable_data()) value = std::max(value, 0.0F);
  expect_near(fused.dst, sum, "dst");
  expect_near(fused.statistics.variance, norm.statistics.variance, "variance");
  expect_near(batch_norm_add_relu_with(in.src, in.other, in.params, norm.statistics), sum, "with");

  for (const StatisticsOf of : {StatisticsOf::kSource, StatisticsOf::kConstant}) {
    const Tensor passed = relu_backward(in.diff, fused.dst);
    const BatchNormGradients expected =
        batch_norm_backward(passed.clone(), in.src, in.params, norm.statistics, of);
    const BatchNormAddGradients actual = batch_norm_add_relu_backward(
        in.diff.clone(), in.src, fused.dst, in.params, norm.statistics, of);
    expect_near(actual.other, passed, "other");
    expect_near(actual.norm.src, expected.src, "src");
    expect_near(actual.norm.scale, expected.scale, "scale");
    expect_near(actual.norm.shift, expected.shift, "shift");
  }
}

TEST_P(BatchNormAddTest, GivesTheSameBitsAtAnyNumberOfThreads) {
  const Inputs in(GetParam());
  const auto run = [&](std::int64_t threads) {
    set_num_threads(std::min(threads, num_available_cpus()));
    const BatchNormResult forward = batch_norm_add_relu(in.src, in.other, in.params);
    return batch_norm_add_relu_backward(in.diff.clone(), in.src, forward.dst, in.params,
                                        forward.statistics, StatisticsOf::kSource);
  };
  const BatchNormAddGradients alone = run(1);
  const BatchNormAddGradients shared = run(2);
  EXPECT_TRUE(std::ranges::equal(alone.norm.src.data(), shared.norm.src.data()));
  EXPECT_TRUE(std::ranges::equal(alone.norm.scale.data(), shared.norm.scale.data()));
}

INSTANTIATE_TEST_SUITE_P(Shapes, BatchNormAddTest,
                         ::testing::Values(Shape{4, 16, 9, 7}, Shape{3, 21, 5, 5},
                                           Shape{8, 40, 16, 16}, Shape{6, 5, 1, 1}));

TEST(BatchNormAdd, RefusesTermsOfDifferentShapes) {
  const Inputs in(Shape{2, 16, 4, 4});
  EXPECT_THROW(
      static_cast<void>(batch_norm_add_relu(in.src, random(Shape{2, 16, 4, 5}, 1), in.params)),
      ShapeError);
}

}  // namespace
}  // namespace branchy::kernels
