#include "core/half.h"

#include <fmt/core.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "core/error.h"

namespace branchy {

namespace {

constexpr std::uint32_t kSignBit = 0x80000000U;
constexpr std::uint32_t kInfinity = 0x7F800000U;

/// `bits` without the lowest `count` (1 to 31), rounded to nearest, ties to even.
constexpr std::uint32_t shift_rounded(std::uint32_t bits, std::uint32_t count) {
  const std::uint32_t half = (std::uint32_t{1} << (count - 1)) - 1;
  return (bits + half + ((bits >> count) & 1U)) >> count;
}

}  // namespace

FloatType parse_float_type(std::string_view name) {
  if (name == "f32" || name == "F32") return FloatType::kF32;
  if (name == "f16" || name == "F16") return FloatType::kF16;
  if (name == "bf16" || name == "BF16") return FloatType::kBF16;
  throw ConfigError(fmt::format("[dtype] '{}', expected one of: f32, f16, bf16", name));
}

std::string_view float_type_name(FloatType type) {
  if (type == FloatType::kF32) return "F32";
  return type == FloatType::kF16 ? "F16" : "BF16";
}

// Half: 1 sign bit, 5 of the exponent (bias 15), 10 of the fraction. Float: 1, 8 (bias 127), 23.
float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16U;
  const std::uint32_t exponent = (bits >> 10U) & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0) {  // zero and subnormals: fraction 2^-24
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  if (exponent == 0x1FU) return std::bit_cast<float>(sign | kInfinity | (fraction << 13U));
  return std::bit_cast<float>(sign | ((exponent + 112U) << 23U) | (fraction << 13U));
}

float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16U);
}

std::uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits & kSignBit) >> 16U);
  const std::uint32_t magnitude = bits & ~kSignBit;
  const auto with_sign = [sign](std::uint32_t rest) {
    return static_cast<std::uint16_t>(sign | rest);
  };
  if (magnitude > kInfinity) return with_sign(0x7E00U | ((magnitude >> 13U) & 0x3FFU));
  if (magnitude >= 0x47800000U) return with_sign(0x7C00U);  // 65536 and more
  if (magnitude < 0x33000000U) return with_sign(0);         // below 2^-25
  if (magnitude >= 0x38800000U)                             // 2^-14: the smallest normal number
    return with_sign(shift_rounded(magnitude, 13) - (112U << 10U));
  const std::uint32_t exponent = magnitude >> 23U;
  const std::uint32_t fraction = (magnitude & 0x7FFFFFU) | 0x800000U;
  return with_sign(shift_rounded(fraction, 126U - exponent));
}

std::uint16_t float_to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & ~kSignBit) > kInfinity) return static_cast<std::uint16_t>((bits >> 16U) | 0x40U);
  return static_cast<std::uint16_t>(shift_rounded(bits, 16));
}

std::vector<std::byte> encode_floats(std::span<const float> values, FloatType type,
                                     std::string_view place) {
  if (type == FloatType::kF32) {
    const auto bytes = std::as_bytes(values);
    return {bytes.begin(), bytes.end()};
  }
  const bool half = type == FloatType::kF16;
  std::vector<std::byte> bytes(values.size() * sizeof(std::uint16_t));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t bits = half ? float_to_half(values[i]) : float_to_bfloat16(values[i]);
    const float stored = half ? half_to_float(bits) : bfloat16_to_float(bits);
    if (std::isinf(stored) && !std::isinf(values[i]))
      throw NumericError(fmt::format("[{}] the value {} is too large for {}; store it as f32",
                                     place, values[i], float_type_name(type)));
    std::memcpy(bytes.data() + i * sizeof(bits), &bits, sizeof(bits));
  }
  return bytes;
}

}  // namespace branchy
