#include "core/kernels/linear_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/rng.h"

namespace branchy::kernels {
namespace {

std::vector<float> random_values(std::int64_t count, Rng& rng) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = rng.uniform(-1.0F, 1.0F);
  return values;
}

struct LinearShape {
  std::int64_t rows, in, out;
};

class LinearRowsShapes : public testing::TestWithParam<LinearShape> {};

TEST_P(LinearRowsShapes, AgreeWithADoubleSumAndAreTheSameInEveryBatch) {
  const auto [rows, in, out] = GetParam();
  Rng rng(3);
  const auto src = random_values(rows * in, rng);
  const auto weights = random_values(out * in, rng);
  const auto bias = random_values(out, rng);
  std::vector<float> dst(static_cast<std::size_t>(rows * out), std::nanf(""));
  linear_rows({.src = src.data(),
               .weights = weights.data(),
               .bias = bias.data(),
               .dst = dst.data(),
               .rows = rows,
               .in = in,
               .out = out});
  std::vector<float> alone(static_cast<std::size_t>(out), std::nanf(""));
  for (std::int64_t n = 0; n < rows; ++n) {
    linear_rows({.src = src.data() + n * in,
                 .weights = weights.data(),
                 .bias = bias.data(),
                 .dst = alone.data(),
                 .rows = 1,
                 .in = in,
                 .out = out});
    for (std::int64_t o = 0; o < out; ++o) {
      double expected = double{bias[static_cast<std::size_t>(o)]};
      for (std::int64_t k = 0; k < in; ++k)
        expected += double{src[static_cast<std::size_t>(n * in + k)]} *
                    double{weights[static_cast<std::size_t>(o * in + k)]};
      const float got = dst[static_cast<std::size_t>(n * out + o)];
      EXPECT_NEAR(got, expected, 1e-5 * std::sqrt(static_cast<double>(in)));
      EXPECT_EQ(got, alone[static_cast<std::size_t>(o)]) << "row " << n << ", output " << o;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(LinearRows, LinearRowsShapes,
                         testing::Values(LinearShape{1, 1, 1}, LinearShape{3, 15, 4},
                                         LinearShape{5, 64, 10}, LinearShape{2, 17, 7},
                                         LinearShape{9, 4096, 10}, LinearShape{33, 100, 101}));

}  // namespace
}  // namespace branchy::kernels
