// 3x3 convolution by F(4x4, 3x3) against sums in double precision: any size, any padding, the loops
// of every instruction set; the bits depend on neither batch nor, but for the weight gradient, the
// number of threads.
#include "core/kernels/winograd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <vector>

#include "core/kernels/winograd_kernels.h"
#include "core/rng.h"
#include "core/threads.h"

namespace branchy::kernels {
namespace {

Tensor random_tensor(const Shape& shape, std::uint64_t seed) {
  Rng rng(seed);
  Tensor tensor(shape);
  for (float& value : tensor.mutable_data()) value = rng.normal();
  return tensor;
}

struct Case {
  std::int64_t num, in, out, height, width, padding;
};

void PrintTo(const Case& c, std::ostream* stream) {
  *stream << c.num << "x" << c.in << "x" << c.height << "x" << c.width << " to " << c.out
          << " padding " << c.padding;
}

/// Calls visit(output index, source index, weight index) for every product.
template <typename Visit>
void for_each_product(const Case& c, const Visit& visit) {
  const std::int64_t rows = c.height + 2 * c.padding - 2;
  const std::int64_t columns = c.width + 2 * c.padding - 2;
  for (std::int64_t n = 0; n < c.num; ++n)
    for (std::int64_t k = 0; k < c.out; ++k)
      for (std::int64_t y = 0; y < rows; ++y)
        for (std::int64_t x = 0; x < columns; ++x)
          for (std::int64_t i = 0; i < c.in; ++i)
            for (std::int64_t u = 0; u < 3; ++u)
              for (std::int64_t v = 0; v < 3; ++v) {
                const std::int64_t from_y = y + u - c.padding;
                const std::int64_t from_x = x + v - c.padding;
                if (from_y < 0 || from_x < 0 || from_y >= c.height || from_x >= c.width) continue;
                visit(static_cast<std::size_t>(((n * c.out + k) * rows + y) * columns + x),
                      static_cast<std::size_t>(((n * c.in + i) * c.height + from_y) * c.width +
                                               from_x),
                      static_cast<std::size_t>(((k * c.in + i) * 3 + u) * 3 + v));
              }
}

/// Largest difference over the root mean square of what is expected.
double error_of(const Tensor& actual, const std::vector<double>& expected) {
  double largest = 0.0;
  double squares = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(actual.data()[i]) - expected[i]));
    squares += expected[i] * expected[i];
  }
  return largest / std::sqrt(squares / static_cast<double>(expected.size()));
}

// Float32 has 6e-8; the transforms of F(4x4, 3x3) cost two digits at most.
constexpr double kTolerance = 1e-5;

class WinogradTest : public ::testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] Shape src_shape() const { return {c.num, c.in, c.height, c.width}; }
  [[nodiscard]] Shape dst_shape() const {
    return {c.num, c.out, c.height + 2 * c.padding - 2, c.width + 2 * c.padding - 2};
  }
  const Case& c = GetParam();
  Tensor src = random_tensor(src_shape(), 1);
  Tensor weights = random_tensor(Shape{c.out, c.in, 3, 3}, 2);
  Tensor diff = random_tensor(dst_shape(), 3);
};

TEST_P(WinogradTest, ConvolvesAndAddsTheBias) {
  const Tensor bias = random_tensor(Shape{c.out}, 4);
  const Tensor dst = winograd_convolution(src, weights, bias, WinogradTaps::kForward, c.padding);
  ASSERT_EQ(dst.shape(), dst_shape());
  std::vector<double> expected(static_cast<std::size_t>(dst.size()));
  const std::int64_t pixels = dst.dim(2) * dst.dim(3);
  for (std::size_t i = 0; i < expected.size(); ++i)
    expected[i] = static_cast<double>(
        bias.data()[static_cast<std::size_t>(static_cast<std::int64_t>(i) / pixels % c.out)]);
  for_each_product(c, [&](std::size_t to, std::size_t from, std::size_t weight) {
    expected[to] +=
        static_cast<double>(src.data()[from]) * static_cast<double>(weights.data()[weight]);
  });
  EXPECT_LT(error_of(dst, expected), kTolerance);
}

TEST_P(WinogradTest, CarriesTheGradientBackToTheSource) {
  const Tensor diff_src =
      winograd_convolution(diff, weights, Tensor(), WinogradTaps::kTurned, 2 - c.padding);
  ASSERT_EQ(diff_src.shape(), src_shape());
  std::vector<double> expected(static_cast<std::size_t>(diff_src.size()), 0.0);
  for_each_product(c, [&](std::size_t to, std::size_t from, std::size_t weight) {
    expected[from] +=
        static_cast<double>(diff.data()[to]) * static_cast<double>(weights.data()[weight]);
  });
  EXPECT_LT(error_of(diff_src, expected), kTolerance);
}

TEST_P(WinogradTest, GivesTheGradientOfTheWeights) {
  const Tensor gradient = winograd_weight_gradient(src, diff, c.padding);
  ASSERT_EQ(gradient.shape(), weights.shape());
  std::vector<double> expected(static_cast<std::size_t>(gradient.size()), 0.0);
  for_each_product(c, [&](std::size_t to, std::size_t from, std::size_t weight) {
    expected[weight] +=
        static_cast<double>(src.data()[from]) * static_cast<double>(diff.data()[to]);
  });
  EXPECT_LT(error_of(gradient, expected), kTolerance);
}

TEST_P(WinogradTest, HasTheSameBitsOnOneThread) {
  const auto run = [&] {
    return winograd_convolution(src, weights, Tensor(), WinogradTaps::kForward, c.padding).clone();
  };
  const std::int64_t before = num_threads();
  set_num_threads(1);
  const Tensor alone = run();
  set_num_threads(num_available_cpus());
  const Tensor shared = run();
  set_num_threads(before);
  EXPECT_TRUE(std::equal(alone.data().begin(), alone.data().end(), shared.data().begin()));
}

INSTANTIATE_TEST_SUITE_P(Sizes, WinogradTest,
                         ::testing::Values(Case{2, 16, 16, 8, 8, 1}, Case{3, 32, 48, 8, 8, 1},
                                           Case{1, 3, 5, 7, 6, 1}, Case{2, 20, 37, 9, 5, 0},
                                           Case{1, 17, 8, 6, 11, 2}, Case{2, 64, 16, 4, 4, 1},
                                           Case{1, 8, 24, 1, 1, 1}, Case{1, 16, 16, 3, 3, 0},
                                           Case{40, 16, 32, 12, 12, 1},
                                           Case{9, 160, 130, 4, 4, 1}));

// Chunks of tiles, tiles of rows and what is left over must not show in a sample's result.
TEST(Winograd, ASampleHasTheBitsThatItHasAlone) {
  const Tensor weights = random_tensor(Shape{32, 16, 3, 3}, 1);
  const Tensor batch = random_tensor(Shape{13, 16, 12, 12}, 2);
  const Tensor together =
      winograd_convolution(batch, weights, Tensor(), WinogradTaps::kForward, 1).clone();
  const auto values = batch.data();
  constexpr std::size_t kSample = 16 * 12 * 12;
  for (const std::size_t n : {0U, 7U, 12U}) {
    const Tensor one = Tensor::from(Shape{1, 16, 12, 12}, values.subspan(n * kSample, kSample));
    const Tensor alone = winograd_convolution(one, weights, Tensor(), WinogradTaps::kForward, 1);
    EXPECT_TRUE(std::equal(alone.data().begin(), alone.data().end(),
                           together.data().begin() + static_cast<std::ptrdiff_t>(n * 2 * kSample)))
        << "sample " << n;
  }
}

struct alignas(64) Line {
  float values[16];
};

/// What one set of loops makes of 3x3 taps, products and results, all of random lines.
std::vector<Line> run_loops(const WinogradKernels& kernels, std::int64_t lanes) {
  constexpr std::int64_t kTiles = 17;
  constexpr std::int64_t kBlocks = 3;
  const WinogradImages images{
      .blocks = kBlocks, .height = 7, .width = 9, .origin = -1, .tiles_high = 2, .tiles_wide = 3};
  const WinogradLayout layout{.point_stride = kBlocks * kTiles * lanes + 16,
                              .block_stride = kTiles * lanes};
  const auto lines = [](std::int64_t count, std::uint64_t seed) {
    Rng rng(seed);
    std::vector<Line> made(static_cast<std::size_t>(count));
    for (Line& line : made)
      for (float& value : line.values) value = rng.normal();
    return made;
  };
  const auto floats = [](std::vector<Line>& from) { return from.front().values; };
  auto src = lines(3 * kBlocks * 7 * 9, 1);
  auto patches = lines(kWinogradPoints * kBlocks * kTiles + 36, 2);
  auto weights = lines(kBlocks * kBlocks * 16, 3);
  auto products = lines(kWinogradPoints * kBlocks * kTiles + 36, 4);
  auto dst = lines(3 * kBlocks * 7 * 9, 5);
  auto sums = lines(kBlocks * kBlocks * 16, 6);
  kernels.transform_source(floats(src), images, {0, kTiles, 0, kBlocks}, floats(patches), layout);
  for (std::int64_t point = 0; point < kWinogradPoints; ++point)
    kernels.multiply(floats(patches) + point * layout.point_stride, layout.block_stride,
                     floats(weights), kBlocks * lanes, kTiles, kBlocks,
                     floats(products) + point * layout.point_stride, layout.block_stride);
  WinogradImages results = images;
  results.origin = 0;
  kernels.transform_result(floats(products), layout, results, {0, kTiles, 0, kBlocks},
                           {.clip = {0.0F, 6.0F}}, floats(dst));
  kernels.transform_diff(floats(dst), results, {0, kTiles, 0, kBlocks}, floats(products), layout);
  kernels.accumulate({.patches = floats(patches),
                      .patch_block_stride = layout.block_stride,
                      .diffs = floats(products),
                      .diff_block_stride = layout.block_stride,
                      .channels = kBlocks * lanes,
                      .first_channel = 0,
                      .end_channel = kBlocks * lanes,
                      .tiles = kTiles,
                      .out_blocks = kBlocks},
                     floats(sums));
  dst.insert(dst.end(), sums.begin(), sums.end());
  return dst;
}

void expect_near(const std::vector<Line>& actual, const std::vector<Line>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i)
    for (int lane = 0; lane < 16; ++lane)
      ASSERT_NEAR(actual[i].values[lane], expected[i].values[lane],
                  2e-4 * std::max(1.0F, std::abs(expected[i].values[lane])))
          << "line " << i << " lane " << lane;
}

TEST(Winograd, LoopsOfAllInstructionSetsAgree) {
  for (const std::int64_t lanes : {8, 16}) {
    const std::vector<Line> portable = run_loops(winograd_portable(lanes), lanes);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      expect_near(run_loops(winograd_avx2(lanes), lanes), portable);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
      expect_near(run_loops(winograd_avx512(lanes), lanes), portable);
  }
}

}  // namespace
}  // namespace branchy::kernels
