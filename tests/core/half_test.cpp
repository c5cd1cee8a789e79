#include "core/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

TEST(Half, EveryValueSurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = half_to_float(half);
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value)))) << bits;
    else
      EXPECT_EQ(float_to_half(value), half) << bits;
    const float brain = bfloat16_to_float(half);
    if (std::isnan(brain))
      EXPECT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(brain)))) << bits;
    else
      EXPECT_EQ(float_to_bfloat16(brain), half) << bits;
  }
}

TEST(Half, HasTheValuesOfTheStandard) {
  EXPECT_EQ(half_to_float(0x3C00), 1.0F);
  EXPECT_EQ(half_to_float(0xC000), -2.0F);
  EXPECT_EQ(half_to_float(0x7BFF), 65504.0F);
  EXPECT_EQ(half_to_float(0x0400), std::ldexp(1.0F, -14));
  EXPECT_EQ(half_to_float(0x0001), std::ldexp(1.0F, -24));
  EXPECT_EQ(half_to_float(0x3555), 0.333251953125F);
  EXPECT_TRUE(std::signbit(half_to_float(0x8000)));
  EXPECT_EQ(half_to_float(0x7C00), std::numeric_limits<float>::infinity());
}

// Halves are 2^(e-10) apart; check both neighbours and the ties of every pair by arithmetic.
TEST(Half, RoundsToTheNearestAndTiesToEven) {
  for (std::uint16_t half = 0; half < 0x7BFF; ++half) {
    const float low = half_to_float(half);
    const float high = half_to_float(static_cast<std::uint16_t>(half + 1));
    const float middle = 0.5F * (low + high);
    const std::uint16_t even = half % 2 == 0 ? half : static_cast<std::uint16_t>(half + 1);
    ASSERT_EQ(float_to_half(middle), even) << half;
    ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0F)), half);
    ASSERT_EQ(float_to_half(std::nextafter(middle, high)), half + 1);
    ASSERT_EQ(float_to_half(-middle), even | 0x8000);
  }
  EXPECT_EQ(float_to_half(65519.0F), 0x7BFF);
  EXPECT_EQ(float_to_half(65520.0F), 0x7C00);
  EXPECT_EQ(float_to_half(1e30F), 0x7C00);
  EXPECT_EQ(float_to_half(1e-30F), 0);
}

TEST(Half, Bfloat16RoundsToTheNearestAndTiesToEven) {
  EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0x3F808000U)), 0x3F80);
  EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0x3F808001U)), 0x3F81);
  EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0x3F818000U)), 0x3F82);
}

TEST(Half, EncodingRefusesFiniteValuesThatOverflow) {
  const std::vector<float> fine = {1.0F, -65504.0F, std::numeric_limits<float>::infinity()};
  EXPECT_EQ(encode_floats(fine, FloatType::kF16, "x").size(), 6U);
  EXPECT_EQ(encode_floats(fine, FloatType::kF32, "x").size(), 12U);
  const std::vector<float> large = {70000.0F};
  test::expect_error<NumericError>(
      [&] { static_cast<void>(encode_floats(large, FloatType::kF16, "file: bn1.running_var")); },
      {"bn1.running_var", "70000", "F16"});
  EXPECT_EQ(encode_floats(large, FloatType::kBF16, "x").size(), 2U);
}

TEST(Half, NamesAreParsed) {
  EXPECT_EQ(parse_float_type("bf16"), FloatType::kBF16);
  EXPECT_EQ(parse_float_type(float_type_name(FloatType::kF16)), FloatType::kF16);
  test::expect_error<ConfigError>([] { static_cast<void>(parse_float_type("f8")); },
                                  {"f8", "f32, f16, bf16"});
}

}  // namespace
}  // namespace branchy
