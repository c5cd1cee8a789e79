// Matrix products agree with sums in double precision, however their operands lie.
#include "core/dnn/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "core/error.h"
#include "core/rng.h"

namespace branchy::dnn {
namespace {

Tensor random(const Shape& shape, std::uint64_t seed) {
  Rng rng(seed);
  Tensor tensor(shape);
  for (float& value : tensor.mutable_data()) value = rng.normal();
  return tensor;
}

float element(const Tensor& t, Transpose transpose, std::int64_t row, std::int64_t column) {
  const std::int64_t at =
      transpose == Transpose::kYes ? column * t.dim(1) + row : row * t.dim(1) + column;
  return t.data()[static_cast<std::size_t>(at)];
}

struct Sizes {
  std::int64_t m, n, k;
};

using Case = std::tuple<Sizes, Transpose, Transpose>;
class MatmulTest : public ::testing::TestWithParam<Case> {};

TEST_P(MatmulTest, AgreesWithSumsInDoublePrecision) {
  const auto [sizes, ta, tb] = GetParam();
  const auto [m, n, k] = sizes;
  const Tensor a = random(ta == Transpose::kYes ? Shape{k, m} : Shape{m, k}, 1);
  const Tensor b = random(tb == Transpose::kYes ? Shape{n, k} : Shape{k, n}, 2);
  const Tensor product = matmul(a, ta, b, tb);
  ASSERT_EQ(product.shape(), (Shape{m, n}));
  for (std::int64_t row = 0; row < m; ++row)
    for (std::int64_t column = 0; column < n; ++column) {
      double sum = 0.0;
      for (std::int64_t i = 0; i < k; ++i)
        sum += static_cast<double>(element(a, ta, row, i)) *
               static_cast<double>(element(b, tb, i, column));
      ASSERT_NEAR(product.data()[static_cast<std::size_t>(row * n + column)], sum,
                  1e-5 * static_cast<double>(k))
          << row << ' ' << column;
    }
}

INSTANTIATE_TEST_SUITE_P(Operands, MatmulTest,
                         ::testing::Combine(::testing::Values(Sizes{1, 1, 1}, Sizes{5, 70, 33},
                                                              Sizes{70, 5, 33},
                                                              Sizes{64, 200, 130}),
                                            ::testing::Values(Transpose::kNo, Transpose::kYes),
                                            ::testing::Values(Transpose::kNo, Transpose::kYes)));

TEST(Matmul, RefusesInnerSizesThatDiffer) {
  const Tensor a = Tensor::zeros(Shape{2, 3});
  const Tensor b = Tensor::zeros(Shape{4, 5});
  EXPECT_THROW(static_cast<void>(matmul(a, Transpose::kNo, b, Transpose::kNo)), ShapeError);
}

}  // namespace
}  // namespace branchy::dnn
