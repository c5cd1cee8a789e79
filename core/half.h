// Floating-point numbers of 16 bits: IEEE 754 half precision and bfloat16, as files hold them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace branchy {

/// How a file stores float values; computation is float32 always.
enum class FloatType { kF32, kF16, kBF16 };

/// "f32", "f16" or "bf16", or the names of safetensors; throws ConfigError otherwise.
[[nodiscard]] FloatType parse_float_type(std::string_view name);
/// As safetensors names it: "F32", "F16", "BF16".
[[nodiscard]] std::string_view float_type_name(FloatType type);

/// Exact: every value of 16 bits is a float32.
[[nodiscard]] float half_to_float(std::uint16_t bits);
[[nodiscard]] float bfloat16_to_float(std::uint16_t bits);
/// To the nearest value, ties to even; beyond the largest one infinity; NaN stays NaN.
[[nodiscard]] std::uint16_t float_to_half(float value);
[[nodiscard]] std::uint16_t float_to_bfloat16(float value);

/// Little-endian values of `type`. Throws NumericError, starting with `place`, when a finite value
/// is too large for it.
[[nodiscard]] std::vector<std::byte> encode_floats(std::span<const float> values, FloatType type,
                                                   std::string_view place);

}  // namespace branchy
