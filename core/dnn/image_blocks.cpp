#include "core/dnn/image_blocks.h"

#include <utility>

#include "core/dnn/inference_impl.h"
#include "core/kernels/inference_winograd.h"

namespace branchy::dnn {

namespace {

using Tag = dnnl::memory::format_tag;

dnnl::memory::desc image_desc(const Shape& shape, Tag tag) {
  return {to_dims(shape), dnnl::memory::data_type::f32, tag};
}

}  // namespace

std::optional<ImageBlocks> image_blocks(const ValueLayout& images) {
  if (images.layout == nullptr) return std::nullopt;
  const Shape& s = images.shape;
  const auto is = [&](Tag tag) { return images.layout->desc() == image_desc(s, tag); };
  const std::int64_t pixels = s[2] * s[3];
  if (is(Tag::nhwc)) {
    for (const std::int64_t lanes : {kernels::inference_lanes(), std::int64_t{8}})
      if (s[1] % lanes == 0) return ImageBlocks{lanes, {s[1] * pixels, s[1] * s[3], s[1], lanes}};
    return std::nullopt;
  }
  for (const auto& [tag, lanes] : {std::pair{Tag::nChw16c, 16L}, std::pair{Tag::nChw8c, 8L}}) {
    if (!is(tag)) continue;
    const std::int64_t blocks = (s[1] + lanes - 1) / lanes;
    return ImageBlocks{lanes, {blocks * pixels * lanes, s[3] * lanes, lanes, pixels * lanes}};
  }
  return std::nullopt;
}

ValueLayout in_image_blocks(const ValueLayout& images) {
  if (image_blocks(images)) return images;
  const Tag tag = kernels::inference_lanes() == 16 ? Tag::nChw16c : Tag::nChw8c;
  return value_of(images.shape, image_desc(images.shape, tag));
}

}  // namespace branchy::dnn
