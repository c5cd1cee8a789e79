// Private to core/dnn: images of a plan as own kernels read them, in blocks of channels.
#pragma once

#include <cstdint>
#include <optional>

#include "core/dnn/inference_primitive.h"
#include "core/kernels/image_strides.h"

namespace branchy::dnn {

struct ImageBlocks {
  std::int64_t lanes = 0;
  kernels::ImageStrides strides;
};

/// Nothing for other layouts. The last block may be padded with zeros when the channels lie in
/// blocks, but not when they lie beside one another for each pixel: such images count as blocks of
/// as many lanes as the CPU's vectors have, or else of 8.
[[nodiscard]] std::optional<ImageBlocks> image_blocks(const ValueLayout& images);
/// `images` [N,C,H,W] when they lie in blocks, else their shape in a layout that does.
[[nodiscard]] ValueLayout in_image_blocks(const ValueLayout& images);

}  // namespace branchy::dnn
