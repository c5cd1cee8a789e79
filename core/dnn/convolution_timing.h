// ConvolutionTiming: how long a convolution takes by each method, on the threads at hand.
#pragma once

#include <cstdint>
#include <vector>

#include "core/dnn/convolution_method.h"

namespace branchy::dnn {

struct MethodTime {
  ConvolutionMethod method = ConvolutionMethod::kDirect;
  double ms = 0;  ///< median
};

/// The median of `rounds` runs of each applicable method in turn, after one to warm up, on random
/// values that lie in channel blocks as they do between layers. Throws
/// ConfigError while BRANCHY_CONV forces one.
[[nodiscard]] std::vector<MethodTime> time_convolution(const ConvolutionSpec& spec,
                                                       ConvolutionPass pass, std::int64_t rounds);

/// The method to take: the fastest, but kDirect unless another is 3 % faster or more, which noise
/// is not.
[[nodiscard]] MethodTime fastest_method(const std::vector<MethodTime>& times);

}  // namespace branchy::dnn
