#include "core/kernels/linear_panels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <ostream>
#include <vector>

#include "core/half.h"
#include "core/rng.h"

namespace branchy::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Case {
  std::int64_t lanes, rows, in, out;
};

void PrintTo(const Case& c, std::ostream* stream) {
  *stream << c.rows << " rows, " << c.in << " to " << c.out << ", " << c.lanes << " lanes";
}

class LinearPanelsCases : public testing::TestWithParam<Case> {
 protected:
  LinearPanelsCases() {
    task_.lanes = case_.lanes;
    task_.in = case_.in;
    task_.out = case_.out;
    task_.clip = {0.0F, kInfinity};
    const std::int64_t padded = task_.num_panels() * task_.columns();
    bias_ = Buffer(static_cast<std::size_t>(padded) * sizeof(float));
    std::fill_n(bias_.floats(), padded, 0.0F);
    for (std::int64_t o = 0; o < case_.out; ++o) bias_.floats()[o] = rng_.uniform(-1.0F, 1.0F);
    task_.bias = bias_.floats();
    // Halves, so that both forms hold the same weights.
    for (float& w : weights_) w = half_to_float(float_to_half(w));
  }

  std::vector<float> random(std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = rng_.uniform(-1.0F, 1.0F);
    return values;
  }

  [[nodiscard]] std::vector<float> run(bool halves, std::int64_t first, std::int64_t rows,
                                       std::int64_t threads) const {
    LinearPanels task = task_;
    task.rows = rows;
    task.halves = halves;
    const auto pack = halves ? linear_panels_halves : linear_panels_weights;
    const Buffer packed = pack(weights_.data(), case_.out, case_.in, case_.lanes);
    task.weights = packed.data();
    const Buffer scratch(static_cast<std::size_t>(threads * task.scratch()) * sizeof(float));
    std::vector<float> dst(static_cast<std::size_t>(rows * case_.out), std::nanf(""));
    linear_panels(task, threads, src_.data() + first * case_.in, dst.data(), scratch.floats());
    return dst;
  }

  Case case_ = GetParam();
  Rng rng_{3};
  std::vector<float> src_ = random(case_.rows * case_.in);
  std::vector<float> weights_ = random(case_.out * case_.in);
  LinearPanels task_;
  Buffer bias_;
};

TEST_P(LinearPanelsCases, AgreeWithADoubleSum) {
  const auto dst = run(false, 0, case_.rows, 2);
  for (std::int64_t n = 0; n < case_.rows; ++n)
    for (std::int64_t o = 0; o < case_.out; ++o) {
      double expected = double{bias_.floats()[o]};
      for (std::int64_t k = 0; k < case_.in; ++k)
        expected += double{src_[static_cast<std::size_t>(n * case_.in + k)]} *
                    double{weights_[static_cast<std::size_t>(o * case_.in + k)]};
      EXPECT_NEAR(dst[static_cast<std::size_t>(n * case_.out + o)], std::max(expected, 0.0),
                  1e-5 * std::sqrt(static_cast<double>(case_.in)));
    }
}

TEST_P(LinearPanelsCases, GiveTheSameBitsFromHalvesAloneAndWithAnyThreads) {
  const auto whole = run(false, 0, case_.rows, 1);
  EXPECT_EQ(whole, run(true, 0, case_.rows, 3));
  for (std::int64_t n = 0; n < case_.rows; ++n) {
    const auto row = whole.begin() + n * case_.out;
    EXPECT_EQ(std::vector<float>(row, row + case_.out), run(n % 2 == 0, n, 1, 2)) << "row " << n;
  }
}

INSTANTIATE_TEST_SUITE_P(LinearPanels, LinearPanelsCases,
                         testing::Values(Case{16, 1, 64, 32}, Case{16, 15, 100, 70},
                                         Case{8, 5, 33, 50}, Case{8, 3, 7, 1}));

TEST(LinearPanels, KnowHalvesFromOtherFloats) {
  const auto is = [](float value) { return are_halves({&value, 1}); };
  for (const float half :
       {0.0F, -0.0F, 1.0F, -0.333251953125F, 65504.0F, 0x1p-14F, 0x1p-24F, 0x3p-23F})
    EXPECT_TRUE(is(half)) << half;
  EXPECT_FALSE(is(1.0F / 3));
  EXPECT_FALSE(is(65536.0F)) << "beyond the largest half";
  EXPECT_FALSE(is(0x1p-25F)) << "below the smallest half";
  EXPECT_FALSE(is(0x1.8p-24F)) << "between two subnormal halves";
  EXPECT_FALSE(is(kInfinity));
}

}  // namespace
}  // namespace branchy::kernels
