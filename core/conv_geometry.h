// The output-size formula of convolution and pooling; it exists once.
#pragma once

#include <cstdint>

namespace branchy {

/// floor((size + 2 padding - kernel) / stride) + 1; 0 when the kernel does not fit.
[[nodiscard]] constexpr std::int64_t conv_output_size(std::int64_t size, std::int64_t kernel,
                                                      std::int64_t stride, std::int64_t padding) {
  const std::int64_t room = size + 2 * padding - kernel;
  return room < 0 ? 0 : room / stride + 1;
}

/// The inverse of conv_output_size for transposed convolution: (size - 1) stride - 2 padding +
/// kernel.
[[nodiscard]] constexpr std::int64_t conv_transpose_output_size(std::int64_t size,
                                                                std::int64_t kernel,
                                                                std::int64_t stride,
                                                                std::int64_t padding) {
  return (size - 1) * stride - 2 * padding + kernel;
}

}  // namespace branchy
