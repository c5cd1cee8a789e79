#include "core/kernels/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/kernels/instruction_sets.h"
#include "core/kernels/quantize_ranges.h"
#include "core/rng.h"

namespace branchy::kernels {
namespace {

constexpr ByteSteps kUnsigned{2.0F, 0.0F, 255.0F};
constexpr ByteSteps kSigned{2.0F, -128.0F, 127.0F};

std::vector<std::uint8_t> quantized(const std::vector<float>& values, const ByteSteps& steps,
                                    std::int64_t threads = 1) {
  std::vector<std::uint8_t> bytes(values.size(), 77);
  quantize(values.data(), std::ssize(values), steps, threads, bytes.data());
  return bytes;
}

TEST(Quantize, RoundsTiesToEvenAndCutsOff) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values{0.0F,   0.25F,  0.75F, 1.25F,      -0.25F,     -0.75F,
                                  127.4F, 127.6F, 1e30F, -kInfinity, +kInfinity, std::nanf("")};
  EXPECT_EQ(quantized(values, kUnsigned),
            (std::vector<std::uint8_t>{0, 0, 2, 2, 0, 0, 255, 255, 255, 0, 255, 0}));
  const auto byte = [](int value) { return static_cast<std::uint8_t>(value); };
  EXPECT_EQ(quantized(values, kSigned),
            (std::vector<std::uint8_t>{0, 0, 2, 2, 0, byte(-2), 127, 127, 127, byte(-128), 127,
                                       byte(-128)}));
}

TEST(Quantize, IsTheSameWithAnyThreadsAndOnAnyCpu) {
  Rng rng(6);
  std::vector<float> values(1000);
  for (float& value : values) value = rng.uniform(-90.0F, 150.0F);
  for (const ByteSteps& steps : {kUnsigned, kSigned}) {
    std::vector<std::uint8_t> expected(values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      expected[i] = static_cast<std::uint8_t>(static_cast<int>(
          std::nearbyint(std::min(std::max(values[i] * 2.0F, steps.low), steps.high))));
    for (const std::int64_t threads : {1, 2, 3, 7})
      EXPECT_EQ(quantized(values, steps, threads), expected) << threads << " threads";
    std::vector<std::uint8_t> portable(values.size());
    quantize_range(values.data(), steps, portable.data(), 0, std::ssize(values));
    EXPECT_EQ(portable, expected);
    if (!has_avx512()) continue;
    quantize_range_avx512(values.data(), steps, portable.data(), 0, std::ssize(values));
    EXPECT_EQ(portable, expected);
  }
}

}  // namespace
}  // namespace branchy::kernels
