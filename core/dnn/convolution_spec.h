// ConvolutionSpec: what determines how a convolution is computed.
#pragma once

#include <cstdint>

#include "core/shape.h"

namespace branchy::dnn {

/// src [N,C,H,W]; weights [O, C/groups, K, K], for a transposed convolution [C, O/groups, K, K]
/// (groups 1 only there).
struct ConvolutionSpec {
  Shape src;
  std::int64_t out = 0, kernel = 1, stride = 1, padding = 0, groups = 1;
  bool bias = false, transposed = false;

  friend bool operator==(const ConvolutionSpec&, const ConvolutionSpec&) = default;
};

/// [N,O,H',W'].
[[nodiscard]] Shape convolution_dst(const ConvolutionSpec& spec);

}  // namespace branchy::dnn
