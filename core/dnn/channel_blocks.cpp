#include "core/dnn/channel_blocks.h"

#include "core/dnn/onednn.h"
#include "core/error.h"

namespace branchy::dnn {

namespace {

dnnl::memory::desc blocked_desc(const Shape& shape, std::int64_t lanes) {
  using Tag = dnnl::memory::format_tag;
  return {to_dims(shape), dnnl::memory::data_type::f32, lanes == 8 ? Tag::nChw8c : Tag::nChw16c};
}

/// 0 when the channels do not lie in blocks.
std::int64_t lanes_of(const Tensor& tensor) {
  const auto desc = desc_of(tensor);
  for (const std::int64_t lanes : {16, 8})
    if (desc == blocked_desc(tensor.shape(), lanes)) return lanes;
  return 0;
}

}  // namespace

Tensor in_channel_blocks(const Tensor& tensor) {
  return lanes_of(tensor) != 0 ? tensor : in_desc(tensor, blocked_desc(tensor.shape(), 16));
}

Tensor in_channel_blocks(const Tensor& tensor, std::int64_t lanes) {
  return in_desc(tensor, blocked_desc(tensor.shape(), lanes));
}

Tensor empty_in_channel_blocks(const Shape& shape, std::int64_t lanes) {
  return empty_with_desc(shape, blocked_desc(shape, lanes));
}

ChannelBlocks channel_blocks_of(const Tensor& tensor) {
  const std::int64_t lanes = lanes_of(tensor);
  BRANCHY_DCHECK(lanes != 0);
  return {tensor.dim(0), tensor.dim(1), tensor.dim(2), tensor.dim(3), lanes};
}

}  // namespace branchy::dnn
