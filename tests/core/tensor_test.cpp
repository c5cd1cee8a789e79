#include "core/tensor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "core/dnn/convolution.h"
#include "core/dnn/tensor_access.h"
#include "core/error.h"
#include "core/kernels/elementwise.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

std::vector<float> counting(std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

/// `src` passed through a 1x1 convolution with the identity matrix: equal values in whatever layout
/// the convolution likes to write.
Tensor through_identity(const Tensor& src) {
  const std::int64_t channels = src.dim(1);
  Tensor weights = Tensor::zeros(Shape{channels, channels, 1, 1});
  for (std::int64_t c = 0; c < channels; ++c)
    weights.mutable_data()[static_cast<std::size_t>(c * channels + c)] = 1.0F;
  dnn::Convolution convolution({.src = src.shape(), .out = channels});
  return convolution.forward(src, weights, Tensor());
}

void expect_values(const Tensor& actual, const std::vector<float>& expected) {
  const auto values = actual.data();
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(values[i], expected[i]) << i;
}

TEST(Tensor, CopiesAliasAndClonesDoNot) {
  Tensor a = Tensor::from(Shape{2, 2}, counting(4));
  Tensor alias = a;
  const Tensor copy = a.clone();
  alias.mutable_data()[0] = 9.0F;
  EXPECT_EQ(a.data()[0], 9.0F);
  EXPECT_EQ(copy.data()[0], 1.0F);
  EXPECT_TRUE(a.shares_storage_with(alias));
  EXPECT_FALSE(a.shares_storage_with(copy));
}

TEST(Tensor, IsAlignedToCacheLines) {
  for (const std::int64_t size : {1, 3, 1000, 100000})
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Tensor(Shape{size}).data().data()) % 64, 0U);
}

TEST(Tensor, ReshapeAliasesTheValues) {
  Tensor a = Tensor::from(Shape{2, 6}, counting(12));
  Tensor b = a.reshape(Shape{3, 4});
  b.mutable_data()[5] = -1.0F;
  EXPECT_EQ(a.data()[5], -1.0F);
  EXPECT_EQ(b.shape(), (Shape{3, 4}));
  test::expect_error<ShapeError>([&] { static_cast<void>(a.reshape(Shape{5})); }, {"[2,6]", "[5]"});
}

TEST(Tensor, CountsWrites) {
  Tensor a = Tensor::zeros(Shape{4});
  const std::uint64_t before = a.version();
  static_cast<void>(a.data());
  EXPECT_EQ(a.version(), before);
  a.fill(1.0F);
  const std::uint64_t filled = a.version();
  EXPECT_NE(filled, before);
  Tensor alias = a;
  alias.mutable_data()[0] = 2.0F;
  EXPECT_NE(a.version(), filled);
  EXPECT_NE(Tensor::zeros(Shape{4}).version(), Tensor::zeros(Shape{4}).version());
}

TEST(Tensor, NamesMisuse) {
  test::expect_error<ShapeError>([] { static_cast<void>(Tensor().data()); }, {"undefined"});
  test::expect_error<ShapeError>(
      [] { static_cast<void>(Tensor::from(Shape{3}, std::vector<float>(2))); }, {"2", "[3]"});
  test::expect_error<ShapeError>([] { static_cast<void>(Tensor::zeros(Shape{2}).item()); },
                                 {"[2]"});
  Tensor a(Shape{2});
  test::expect_error<ShapeError>([&] { a.copy_from(Tensor::zeros(Shape{3})); }, {"[2]", "[3]"});
}

class BlockedTensor : public ::testing::TestWithParam<std::int64_t> {
 protected:
  Shape shape_{2, GetParam(), 5, 3};
  std::vector<float> values_ = counting(shape_.size());
  Tensor blocked_ = through_identity(Tensor::from(shape_, values_));
};

TEST_P(BlockedTensor, ShowsRowMajorValues) { expect_values(blocked_, values_); }

TEST_P(BlockedTensor, KeepsItsValuesWhenCloned) {
  const Tensor copy = blocked_.clone();
  EXPECT_TRUE(dnn::same_layout(copy, blocked_));
  blocked_.fill(0.0F);
  expect_values(copy, values_);
}

TEST_P(BlockedTensor, IsSeenByAliasesAfterItBecameRowMajor) {
  Tensor alias = blocked_;
  static_cast<void>(alias.data());
  alias.mutable_data()[7] = -7.0F;
  EXPECT_EQ(blocked_.data()[7], -7.0F);
  expect_values(blocked_.reshape(Shape{shape_.size()}).clone(),
                {alias.data().begin(), alias.data().end()});
}

TEST_P(BlockedTensor, AddsToARowMajorOne) {
  std::vector<float> doubled = values_;
  for (float& value : doubled) value *= 2.0F;
  const Tensor plain = Tensor::from(shape_, values_);
  expect_values(kernels::add(blocked_.clone(), plain), doubled);
  expect_values(kernels::add(plain, blocked_.clone()), doubled);
  Tensor sum = blocked_.clone();
  kernels::accumulate(sum, plain);
  expect_values(sum, doubled);
}

INSTANTIATE_TEST_SUITE_P(Channels, BlockedTensor, ::testing::Values(3, 16, 21));

}  // namespace
}  // namespace branchy
