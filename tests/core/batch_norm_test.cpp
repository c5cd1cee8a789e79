// Batch normalisation: the loops for every instruction set agree, and the bits do not depend on the
// number of threads. (Values and gradients are held by the layer cases.)
#include "core/kernels/batch_norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/kernels/batch_norm_kernels.h"
#include "core/rng.h"
#include "core/threads.h"

namespace branchy::kernels {
namespace {

struct alignas(64) Line {
  float values[16];
};
using Lines = std::vector<Line>;

Lines random_lines(std::size_t count, std::uint64_t seed, float offset) {
  Rng rng(seed);
  Lines lines(count);
  for (Line& line : lines)
    for (float& value : line.values) value = offset + rng.normal();
  return lines;
}

float* floats(Lines& lines) { return lines.front().values; }

/// What one set of loops makes of the same input.
struct Outputs {
  Lines statistics = Lines(2), dst, streamed, sums = Lines(2), diff_src;
};

Outputs run(const BatchNormKernels& kernels, std::int64_t pixels) {
  const auto count = static_cast<std::size_t>(pixels);
  Lines src = random_lines(count, 1, 3.0F);
  Lines diff = random_lines(count, 2, 0.0F);
  Lines line = random_lines(5, 3, 1.0F);
  Outputs out;
  out.dst.resize(count);
  out.streamed.resize(count);
  out.diff_src.resize(count);
  const BatchNormLine y{line[0].values, line[1].values, line[2].values};
  const Clip relu6{0.0F, 6.0F};
  kernels.statistics(floats(src), pixels, out.statistics[0].values, out.statistics[1].values);
  kernels.normalize(floats(src), pixels, y, relu6, floats(out.dst));
  kernels.normalize_streamed(floats(src), pixels, y, relu6, floats(out.streamed));
  kernels.reduce(floats(src), floats(diff), pixels, y, relu6, out.sums[0].values,
                 out.sums[1].values);
  kernels.differentiate(floats(src), floats(diff), pixels, y, relu6, line[3].values, line[4].values,
                        floats(out.diff_src));
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

TEST(BatchNormKernels, AgreeForEveryInstructionSet) {
  for (const std::int64_t lanes : {8, 16})
    for (const std::int64_t pixels : {1, 3, 128, 301}) {
      const Outputs expected = run(batch_norm_portable(lanes), pixels);
      const auto compare = [&](const BatchNormKernels& kernels) {
        const Outputs actual = run(kernels, pixels);
        expect_near(actual.statistics, expected.statistics, "statistics");
        expect_near(actual.dst, expected.dst, "dst");
        expect_near(actual.streamed, expected.dst, "streamed dst");
        expect_near(actual.sums, expected.sums, "sums");
        expect_near(actual.diff_src, expected.diff_src, "diff_src");
      };
      if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        compare(batch_norm_avx2(lanes));
      if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        compare(batch_norm_avx512(lanes));
    }
}

TEST(BatchNorm, HasTheSameBitsWithAnyNumberOfThreads) {
  if (num_available_cpus() < 2) GTEST_SKIP() << "needs two CPUs";
  const Shape shape{3, 40, 30, 31};  // three blocks of channels: one is left over for two threads
  Tensor src(shape);
  Tensor diff_dst(shape);
  Rng rng(4);
  for (float& value : src.mutable_data()) value = 5.0F + rng.normal();
  for (float& value : diff_dst.mutable_data()) value = rng.normal();
  const BatchNormParams params{.scale = Tensor::full(Shape{40}, 1.5F),
                               .shift = Tensor::full(Shape{40}, 0.5F),
                               .activation = ActivationKind::kRelu};
  std::vector<std::vector<float>> results;
  for (const std::int64_t threads : {1, 2}) {
    set_num_threads(threads);
    const BatchNormResult result = batch_norm(src, params);
    const BatchNormGradients gradients =
        batch_norm_backward(diff_dst, src, params, result.statistics, StatisticsOf::kSource);
    std::vector<float>& values = results.emplace_back();
    for (const Tensor& tensor : {result.dst, result.statistics.mean, result.statistics.variance,
                                 gradients.src, gradients.scale, gradients.shift})
      values.insert(values.end(), tensor.data().begin(), tensor.data().end());
  }
  EXPECT_EQ(results[0], results[1]);
}

}  // namespace
}  // namespace branchy::kernels
