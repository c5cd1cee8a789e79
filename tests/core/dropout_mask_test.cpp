// A dropout mask holds zeros and 1 / (1 - probability), the same at any number of threads.
#include "core/kernels/dropout_mask.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/threads.h"

namespace branchy::kernels {
namespace {

constexpr std::int64_t kRows = 200;

TEST(DropoutMask, KeepsTheShareOfElementsThatItShould) {
  const Tensor mask = dropout_mask(Shape{kRows, 500}, 0.3F, 5, 1);
  const auto zeros = std::count(mask.data().begin(), mask.data().end(), 0.0F);
  EXPECT_NEAR(static_cast<double>(zeros) / 1e5, 0.3, 0.01);
  for (const float value : mask.data()) ASSERT_TRUE(value == 0.0F || value == 1.0F / 0.7F);
}

TEST(DropoutMask, DiffersBySeedStreamAndPlace) {
  const auto values = [](std::uint64_t seed, std::uint64_t stream) {
    const Tensor mask = dropout_mask(Shape{3, 4096}, 0.5F, seed, stream);
    return std::vector<float>(mask.data().begin(), mask.data().end());
  };
  const std::vector<float> mask = values(1, 1);
  EXPECT_NE(mask, values(2, 1));
  EXPECT_NE(mask, values(1, 2));
  EXPECT_FALSE(std::equal(mask.begin(), mask.begin() + 4096, mask.begin() + 4096));
}

TEST(DropoutMask, IsTheSameAtAnyNumberOfThreads) {
  set_num_threads(1);
  const Tensor alone = dropout_mask(Shape{kRows, 333}, 0.5F, 1, 1);
  set_num_threads(std::min<std::int64_t>(3, num_available_cpus()));
  const Tensor shared = dropout_mask(Shape{kRows, 333}, 0.5F, 1, 1);
  EXPECT_TRUE(std::ranges::equal(alone.data(), shared.data()));
}

}  // namespace
}  // namespace branchy::kernels
