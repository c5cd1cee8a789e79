#include "core/shape.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using test::expect_error;

TEST(Shape, ScalarHasOneElement) {
  EXPECT_EQ(Shape().rank(), 0);
  EXPECT_EQ(Shape().size(), 1);
  EXPECT_EQ(Shape().to_string(), "[]");
}

TEST(Shape, KnowsItsDimensionsAndSize) {
  const Shape shape{8, 64, 16, 16};
  EXPECT_EQ(shape.rank(), 4);
  EXPECT_EQ(shape[1], 64);
  EXPECT_EQ(shape.size(), 8 * 64 * 16 * 16);
  EXPECT_EQ(shape.to_string(), "[8,64,16,16]");
  EXPECT_EQ(shape.with_batch(1), (Shape{1, 64, 16, 16}));
}

TEST(Shape, AZeroMakesItEmpty) { EXPECT_EQ((Shape{0, 3, 32, 32}).size(), 0); }

TEST(Shape, ComparesByDimensions) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{6}), (Shape{2, 3}));
  EXPECT_NE(Shape{1}, Shape());
}

TEST(Shape, RejectsTooManyDimensions) {
  const std::vector<std::int64_t> dims(6, 1);
  expect_error<ShapeError>([&] { Shape{std::span<const std::int64_t>(dims)}; }, {"6", "at most 5"});
}

TEST(Shape, RejectsANegativeDimension) {
  expect_error<ShapeError>([] { (void)Shape({4, -1}); }, {"-1", "[4,-1]", "0 or more"});
}

TEST(Shape, RejectsOverflow) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 40;
  expect_error<ShapeError>([] { (void)Shape({kHuge, kHuge}); }, {"2^60"});
  // The bytes of 2^62 float32 values would be 0 in 64 bits.
  expect_error<ShapeError>([] { (void)Shape{std::int64_t{1} << 62}; }, {"2^60"});
  EXPECT_EQ((Shape{std::int64_t{1} << 60}).size(), std::int64_t{1} << 60);
}

TEST(Shape, RejectsAnIndexOutside) {
  const Shape shape{2, 3};
  expect_error<ShapeError>([&] { (void)shape.dim(2); }, {"2", "[2,3]"});
  expect_error<ShapeError>([&] { (void)shape.dim(-1); }, {"-1"});
}

}  // namespace
}  // namespace branchy
