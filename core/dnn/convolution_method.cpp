#include "core/dnn/convolution_method.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include "core/conv_geometry.h"
#include "core/dnn/convolution_table.h"
#include "core/error.h"
#include "core/printable.h"

namespace branchy::dnn {

namespace {

constexpr std::array<ConvolutionMethod, 3> kMethods{
    ConvolutionMethod::kDirect, ConvolutionMethod::kGemm, ConvolutionMethod::kWinograd};

bool winograd_applies(const ConvolutionSpec& spec) {
  return spec.kernel == 3 && spec.stride == 1 && spec.padding <= 2 && spec.groups == 1 &&
         !spec.transposed;
}

bool gemm_applies(const ConvolutionSpec& spec) { return spec.groups == 1 && !spec.transposed; }

/// Share of the products that are wanted: tiles reach over the border, channels fill whole blocks.
double winograd_use(const ConvolutionSpec& spec) {
  constexpr std::int64_t kLanes = 16;
  constexpr std::int64_t kTile = 4;
  const auto use = [](std::int64_t size, std::int64_t unit) {
    return static_cast<double>(size) / static_cast<double>((size + unit - 1) / unit * unit);
  };
  const Shape dst = convolution_dst(spec);
  return use(spec.src[1], kLanes) * use(spec.out, kLanes) * use(dst[2], kTile) * use(dst[3], kTile);
}

/// Measured with batches of 128: F(4x4, 3x3) is 1.3 to 3.3 times as fast as direct convolution from
/// 16 channels on, and slower where a tile is larger than the image.
ConvolutionMethod rule_of_thumb(const ConvolutionSpec& spec) {
  constexpr double kLeastUse = 0.6;
  if (!winograd_applies(spec) || winograd_use(spec) < kLeastUse) return ConvolutionMethod::kDirect;
  // Weights at 36 points are 4 times as many: small batches must not wait for them.
  constexpr std::int64_t kLeastTiles = 32;
  const Shape dst = convolution_dst(spec);
  const std::int64_t tiles = dst[0] * ((dst[2] + 3) / 4) * ((dst[3] + 3) / 4);
  return tiles < kLeastTiles ? ConvolutionMethod::kDirect : ConvolutionMethod::kWinograd;
}

}  // namespace

std::optional<ConvolutionMethod> forced_convolution_method() {
  const char* text = std::getenv("BRANCHY_CONV");
  if (text == nullptr || *text == '\0') return std::nullopt;
  return convolution_method_of(text, "BRANCHY_CONV");
}

Shape convolution_dst(const ConvolutionSpec& s) {
  const auto size = s.transposed ? conv_transpose_output_size : conv_output_size;
  return {s.src[0], s.out, size(s.src[2], s.kernel, s.stride, s.padding),
          size(s.src[3], s.kernel, s.stride, s.padding)};
}

std::string_view to_string(ConvolutionMethod method) {
  switch (method) {
    case ConvolutionMethod::kDirect:
      return "direct";
    case ConvolutionMethod::kGemm:
      return "gemm";
    case ConvolutionMethod::kWinograd:
      break;
  }
  return "winograd";
}

std::string_view to_string(ConvolutionPass pass) {
  switch (pass) {
    case ConvolutionPass::kForward:
      return "forward";
    case ConvolutionPass::kBackwardData:
      return "data";
    case ConvolutionPass::kBackwardWeights:
      break;
  }
  return "weights";
}

ConvolutionMethod convolution_method_of(std::string_view text, std::string_view place) {
  const auto found = std::find_if(kMethods.begin(), kMethods.end(), [&](ConvolutionMethod method) {
    return to_string(method) == text;
  });
  if (found == kMethods.end())
    throw ConfigError(
        fmt::format("[{}] method '{}', expected direct, gemm or winograd", place, printable(text)));
  return *found;
}

std::vector<ConvolutionMethod> applicable_methods(const ConvolutionSpec& spec) {
  std::vector<ConvolutionMethod> methods{ConvolutionMethod::kDirect};
  if (gemm_applies(spec)) methods.push_back(ConvolutionMethod::kGemm);
  if (winograd_applies(spec)) methods.push_back(ConvolutionMethod::kWinograd);
  return methods;
}

ConvolutionMethod choose_convolution_method(const ConvolutionSpec& spec, ConvolutionPass pass) {
  ConvolutionListing::note(spec, pass);
  const std::vector<ConvolutionMethod> methods = applicable_methods(spec);
  const auto applies = [&](ConvolutionMethod method) {
    return std::find(methods.begin(), methods.end(), method) != methods.end();
  };
  if (const auto forced = forced_convolution_method())
    return applies(*forced) ? *forced : ConvolutionMethod::kDirect;
  if (const auto table = convolution_table()) {
    const auto measured = table->find(convolution_name(spec, pass));
    if (measured && applies(*measured)) return *measured;
  }
  return rule_of_thumb(spec);
}

}  // namespace branchy::dnn
