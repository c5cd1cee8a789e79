// FeatureQuantizer: what the encoder of a feature codec gives, as few unsigned bits a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace branchy {

/// Unsigned and uniform with one scale for the whole tensor: a ReLU lies before it, so zero is
/// level 0 (Dong et al. 2022, section V-C; the scale is the maximum over the training set).
///   level = clamp(round_half_even(value / step), 0, 2^bits - 1), step = scale / (2^bits - 1)
///   value' = level * step
/// in float32. NaN becomes level 0.
class FeatureQuantizer {
 public:
  /// Throws ConfigError unless `bits` is 8 or 4 and `scale` finite and above 0.
  FeatureQuantizer(std::int64_t bits, float scale);

  [[nodiscard]] std::int64_t bits() const { return bits_; }
  [[nodiscard]] float scale() const { return scale_; }
  [[nodiscard]] std::int64_t num_levels() const { return std::int64_t{1} << bits_; }

  [[nodiscard]] std::vector<std::uint8_t> quantize(std::span<const float> values) const;
  /// As many values as levels; a level above the highest is the caller's error.
  void dequantize(std::span<const std::uint8_t> levels, std::span<float> values) const;

 private:
  std::int64_t bits_;
  float scale_, step_;
};

/// Bytes that `count` levels of `bits` bits take: one each, or two in one.
[[nodiscard]] std::int64_t packed_bytes(std::int64_t count, std::int64_t bits);
/// Of 4-bit levels the first lies in the low half of a byte; a half left over is zero.
[[nodiscard]] std::vector<std::byte> pack_levels(std::span<const std::uint8_t> levels,
                                                 std::int64_t bits);
/// The inverse. Throws DataError for another number of bytes than packed_bytes(), or a half left
/// over that is not zero.
[[nodiscard]] std::vector<std::uint8_t> unpack_levels(std::span<const std::byte> bytes,
                                                      std::int64_t count, std::int64_t bits);

}  // namespace branchy
