// ConvolutionMethod: how a convolution is computed, and what decides it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/dnn/convolution_spec.h"

namespace branchy::dnn {

/// kDirect: oneDNN's choice for blocked layouts. kGemm: oneDNN's matrix product on row-major
/// images. kWinograd: F(4x4, 3x3), core/kernels/winograd.h.
enum class ConvolutionMethod { kDirect, kGemm, kWinograd };
/// What is computed. kInference does not depend on the batch size, so that neither do its results.
enum class ConvolutionPass { kForward, kBackwardData, kBackwardWeights, kInference };

/// "direct", "gemm", "winograd"; "forward", "data", "weights", "inference".
[[nodiscard]] std::string_view to_string(ConvolutionMethod method);
[[nodiscard]] std::string_view to_string(ConvolutionPass pass);
/// Throws ConfigError naming `place` for another text.
[[nodiscard]] ConvolutionMethod convolution_method_of(std::string_view text,
                                                      std::string_view place);

/// Those that can compute it; kDirect is one of them.
[[nodiscard]] std::vector<ConvolutionMethod> applicable_methods(const ConvolutionSpec& spec,
                                                                ConvolutionPass pass);

/// The method for a convolution that is made now: that of the environment variable BRANCHY_CONV
/// (direct, gemm or winograd) where it applies, else that of the ConvolutionTable in use, else a
/// rule of thumb from measurements. Throws ConfigError for another value of BRANCHY_CONV.
[[nodiscard]] ConvolutionMethod choose_convolution_method(const ConvolutionSpec& spec,
                                                          ConvolutionPass pass);

}  // namespace branchy::dnn
