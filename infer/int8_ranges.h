// Int8Ranges: what the sources of a network's convolutions and large linear layers lie between, for
// inference in 8 bits.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "core/dnn/inference_int8.h"
#include "layers/model_info.h"

namespace branchy {

/// An operation of a lowered network. "block3.1" is the second (after fusion) of trunk block 3,
/// blocks numbered from 0; "exit2.0" the first of exit 2.
struct PlanOperation {
  bool is_exit = false;
  std::int64_t number = 0;  ///< of the trunk block or exit
  std::int64_t index = 0;

  [[nodiscard]] bool operator<(const PlanOperation& other) const {
    return std::tie(is_exit, number, index) < std::tie(other.is_exit, other.number, other.index);
  }
  [[nodiscard]] std::string name() const;
};

/// By operation; those that are not named are computed in float32.
using Int8Ranges = std::map<PlanOperation, dnn::ValueRange>;

/// The model's record of them (ModelInfo::records), written by `branchy quantize`.
inline constexpr std::string_view kInt8RangesRecord = "int8.ranges";
/// "block3.1 -0.5 2.25 block3.2 0 6 ...": exact.
[[nodiscard]] std::string to_text(const Int8Ranges& ranges);
/// Throws DataError for text that names no operation or one twice, and for bounds that are missing,
/// not finite, or do not lie on both sides of zero.
[[nodiscard]] Int8Ranges parse_int8_ranges(std::string_view text);
/// Of a model file; none when it was not quantised. Throws as parse_int8_ranges.
[[nodiscard]] Int8Ranges int8_ranges(const ModelInfo& info);

}  // namespace branchy
