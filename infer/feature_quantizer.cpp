#include "infer/feature_quantizer.h"

#include <fmt/format.h>

#include <cmath>

#include "core/error.h"

namespace branchy {

FeatureQuantizer::FeatureQuantizer(std::int64_t bits, float scale) : bits_(bits), scale_(scale) {
  if (bits != 8 && bits != 4)
    throw ConfigError(fmt::format("[quantizer] {} bits, expected 8 or 4", bits));
  if (!std::isfinite(scale) || scale <= 0.0F)
    throw ConfigError(fmt::format("[quantizer] scale {}, expected a number above 0", scale));
  step_ = scale / static_cast<float>(num_levels() - 1);
}

std::vector<std::uint8_t> FeatureQuantizer::quantize(std::span<const float> values) const {
  const auto highest = static_cast<float>(num_levels() - 1);
  std::vector<std::uint8_t> levels(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float level = std::nearbyint(values[i] / step_);  // ties to even: the default mode
    if (level >= highest)
      levels[i] = static_cast<std::uint8_t>(highest);
    else if (level > 0.0F)  // NaN stays 0
      levels[i] = static_cast<std::uint8_t>(level);
  }
  return levels;
}

void FeatureQuantizer::dequantize(std::span<const std::uint8_t> levels,
                                  std::span<float> values) const {
  BRANCHY_DCHECK(levels.size() == values.size());
  for (std::size_t i = 0; i < levels.size(); ++i) values[i] = static_cast<float>(levels[i]) * step_;
}

std::int64_t packed_bytes(std::int64_t count, std::int64_t bits) {
  return bits == 8 ? count : (count + 1) / 2;
}

std::vector<std::byte> pack_levels(std::span<const std::uint8_t> levels, std::int64_t bits) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(packed_bytes(std::ssize(levels), bits)));
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const std::byte level{levels[i]};
    if (bits == 8)
      bytes[i] = level;
    else
      bytes[i / 2] |= i % 2 == 0 ? level : level << 4U;
  }
  return bytes;
}

std::vector<std::uint8_t> unpack_levels(std::span<const std::byte> bytes, std::int64_t count,
                                        std::int64_t bits) {
  if (std::ssize(bytes) != packed_bytes(count, bits))
    throw DataError(fmt::format("[codec] {} bytes for {} values of {} bits, expected {}",
                                bytes.size(), count, bits, packed_bytes(count, bits)));
  std::vector<std::uint8_t> levels(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (bits == 8)
      levels[i] = std::to_integer<std::uint8_t>(bytes[i]);
    else
      levels[i] = std::to_integer<std::uint8_t>(i % 2 == 0 ? bytes[i / 2] & std::byte{15}
                                                           : bytes[i / 2] >> 4U);
  }
  if (bits == 4 && count % 2 == 1 && (bytes.back() >> 4U) != std::byte{0})
    throw DataError("[codec] the unused half of the last byte is not zero: a damaged code");
  return levels;
}

}  // namespace branchy
