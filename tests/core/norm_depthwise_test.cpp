// A batch norm and the depth-wise convolution behind it in one operation: the loops for every
// instruction set agree, the whole equals the two operations one after the other, and the bits do
// not depend on the number of threads.
#include "core/kernels/norm_depthwise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/dnn/convolution.h"
#include "core/kernels/norm_depthwise_kernels.h"
#include "core/rng.h"
#include "core/threads.h"

namespace branchy::kernels {
namespace {

struct alignas(64) Line {
  float values[16];
};
using Lines = std::vector<Line>;

Lines random_lines(std::int64_t count, std::uint64_t seed, float offset) {
  Rng rng(seed);
  Lines lines(static_cast<std::size_t>(count));
  for (Line& line : lines)
    for (float& value : line.values) value = offset + rng.normal();
  return lines;
}

float* floats(Lines& lines) { return lines.front().values; }

struct Outputs {
  Lines dst, sums = Lines(11), diff_src;
};

/// What one set of loops makes of the same input.
Outputs run(const NormDepthwiseKernels& kernels, const DepthwisePlane& plane) {
  const std::int64_t pixels = plane.height * plane.width;
  const std::int64_t behind = plane.out_height * plane.out_width;
  Lines src = random_lines(pixels, 1, 3.0F);
  Lines diff = random_lines(behind, 2, 0.0F);
  Lines line = random_lines(5, 3, 1.0F);
  Lines weights = random_lines(9, 4, 0.0F);
  Lines scratch(static_cast<std::size_t>(plane.scratch()));
  Outputs out;
  out.dst.resize(diff.size());
  out.diff_src.resize(src.size());
  const BatchNormLine y{line[0].values, line[1].values, line[2].values};
  const Clip relu6{0.0F, 6.0F};
  kernels.forward(floats(src), plane, y, relu6, floats(weights), floats(scratch), floats(out.dst));
  kernels.reduce(floats(src), floats(diff), plane, y, relu6, floats(weights), floats(scratch),
                 floats(out.sums));
  kernels.differentiate(floats(src), floats(diff), plane, y, relu6, floats(weights), line[3].values,
                        line[4].values, floats(scratch), floats(out.diff_src));
  return out;
}

void expect_near(const Lines& actual, const Lines& expected, const char* what) {
  double largest = 1.0;
  double difference = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i)
    for (std::size_t l = 0; l < 16; ++l) {
      largest = std::max(largest, std::abs(double{expected[i].values[l]}));
      difference = std::max(difference,
                            std::abs(double{actual[i].values[l]} - double{expected[i].values[l]}));
    }
  EXPECT_LE(difference, 1e-5 * largest) << what;
}

void expect_same(const NormDepthwiseKernels& kernels, const Outputs& expected,
                 const DepthwisePlane& plane) {
  const Outputs actual = run(kernels, plane);
  expect_near(actual.dst, expected.dst, "dst");
  expect_near(actual.sums, expected.sums, "sums");
  expect_near(actual.diff_src, expected.diff_src, "diff_src");
}

TEST(NormDepthwiseKernels, AgreeForEveryInstructionSet) {
  for (const std::int64_t lanes : {8, 16})
    for (const std::int64_t stride : {1, 2})
      for (const std::int64_t size : {1, 2, 7, 12})
        for (const bool streams : {false, true}) {
          const std::int64_t behind = (size - 1) / stride + 1;
          const DepthwisePlane plane{size, size + 1, behind, size / stride + 1, stride, streams};
          const Outputs expected = run(norm_depthwise_portable(lanes), plane);
          if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
            expect_same(norm_depthwise_avx2(lanes), expected, plane);
          if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
            expect_same(norm_depthwise_avx512(lanes), expected, plane);
        }
}

Tensor random_tensor(const Shape& shape, std::uint64_t seed) {
  Tensor tensor(shape);
  Rng rng(seed);
  for (float& value : tensor.mutable_data()) value = rng.normal();
  return tensor;
}

void expect_close(const Tensor& actual, const Tensor& expected, const char* what) {
  const auto a = actual.data();
  const auto e = expected.data();
  ASSERT_EQ(a.size(), e.size()) << what;
  float largest = 1e-30F;
  float difference = 0.0F;
  for (std::size_t i = 0; i < e.size(); ++i) {
    largest = std::max(largest, std::abs(e[i]));
    difference = std::max(difference, std::abs(a[i] - e[i]));
  }
  EXPECT_LE(difference, 2e-5F * largest) << what;
}

struct Problem {
  explicit Problem(std::int64_t stride)
      : src(random_tensor({3, 40, 14, 13}, 5)),
        norm{.scale = random_tensor({40}, 6),
             .shift = random_tensor({40}, 7),
             .activation = ActivationKind::kRelu6},
        conv{random_tensor({40, 1, 3, 3}, 8), stride} {}
  Tensor src;
  BatchNormParams norm;
  DepthwiseParams conv;
};

TEST(NormDepthwise, EqualsTheTwoOperations) {
  for (const std::int64_t stride : {1, 2}) {
    const Problem p(stride);
    dnn::Convolution reference({.src = p.src.shape(),
                                .out = 40,
                                .kernel = 3,
                                .stride = stride,
                                .padding = 1,
                                .groups = 40});
    const BatchNormResult between = batch_norm(p.src, p.norm);
    const Tensor expected = reference.forward(between.dst, p.conv.weights, Tensor());
    expect_close(norm_depthwise(p.src, p.norm, p.conv, between.statistics), expected, "dst");

    const Tensor diff = random_tensor(expected.shape(), 9);
    const BatchNormGradients by_norm =
        batch_norm_backward(reference.backward_data(diff, p.conv.weights), p.src, p.norm,
                            between.statistics, StatisticsOf::kConstant);
    const NormDepthwiseGradients diffs =
        norm_depthwise_backward(diff, p.src, p.norm, p.conv, between.statistics);
    expect_close(diffs.src, by_norm.src, "d src");
    expect_close(diffs.scale, by_norm.scale, "d scale");
    expect_close(diffs.shift, by_norm.shift, "d shift");
    expect_close(diffs.weights, reference.backward_weights(between.dst, diff).weights, "d weights");
  }
}

TEST(NormDepthwise, HasTheSameBitsWithAnyNumberOfThreads) {
  if (num_available_cpus() < 2) GTEST_SKIP() << "needs two CPUs";
  const Problem p(1);
  const Tensor diff = random_tensor(p.src.shape(), 10);
  const BatchNormStatistics statistics = batch_norm(p.src, p.norm).statistics;
  std::vector<std::vector<float>> results;
  for (const std::int64_t threads : {1, 2}) {
    set_num_threads(threads);
    const Tensor dst = norm_depthwise(p.src, p.norm, p.conv, statistics);
    const NormDepthwiseGradients diffs =
        norm_depthwise_backward(diff, p.src, p.norm, p.conv, statistics);
    std::vector<float>& values = results.emplace_back();
    for (const Tensor& tensor : {dst, diffs.src, diffs.scale, diffs.shift, diffs.weights})
      values.insert(values.end(), tensor.data().begin(), tensor.data().end());
  }
  EXPECT_EQ(results[0], results[1]);
}

}  // namespace
}  // namespace branchy::kernels
