// ConvolutionMethod: how a convolution is computed, and what decides it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/dnn/convolution_spec.h"

namespace branchy::dnn {

/// kDirect: oneDNN's choice for blocked layouts. kGemm: oneDNN's matrix product on row-major
/// images. kWinograd: F(4x4, 3x3), core/kernels/winograd.h.
enum class ConvolutionMethod { kDirect, kGemm, kWinograd };
/// What a training step computes.
enum class ConvolutionPass { kForward, kBackwardData, kBackwardWeights };

/// "direct", "gemm", "winograd"; "forward", "data", "weights".
[[nodiscard]] std::string_view to_string(ConvolutionMethod method);
[[nodiscard]] std::string_view to_string(ConvolutionPass pass);
/// Throws ConfigError naming `place` for another text.
[[nodiscard]] ConvolutionMethod convolution_method_of(std::string_view text,
                                                      std::string_view place);

/// Those that can compute it; kDirect is one of them.
[[nodiscard]] std::vector<ConvolutionMethod> applicable_methods(const ConvolutionSpec& spec);

/// What the environment variable BRANCHY_CONV says (direct, gemm or winograd); nothing when it is
/// not set. kGemm is for training alone: a plan promises to repeat its bits, and those of oneDNN's
/// matrix product depend on where in memory the values lie. Throws ConfigError for another value.
[[nodiscard]] std::optional<ConvolutionMethod> forced_convolution_method();

/// The method for a convolution of training that is made now: the forced one where it applies, else
/// that of the ConvolutionTable in use, else a rule of thumb from measurements.
[[nodiscard]] ConvolutionMethod choose_convolution_method(const ConvolutionSpec& spec,
                                                          ConvolutionPass pass);

}  // namespace branchy::dnn
