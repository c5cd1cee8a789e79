#include "core/dnn/inference_layout.h"

#include <fmt/core.h>

#include "core/dnn/inference_impl.h"
#include "core/kernels/quantize.h"

namespace branchy::dnn {

namespace {

using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

/// Whether both lie in the same order without gaps, the first as floats, the second as bytes.
bool quantizes(const Desc& src, const Desc& dst, const Shape& shape) {
  const Type type = dst.data_type();
  if (type != Type::u8 && type != Type::s8) return false;
  const auto both = [&](Tag tag) {
    return src == Desc(to_dims(shape), Type::f32, tag) && dst == Desc(to_dims(shape), type, tag);
  };
  return shape.rank() == 4 ? both(Tag::nhwc) : shape.rank() == 2 && both(Tag::ab);
}

}  // namespace

InferencePrimitive make_inference_reorder(const ValueLayout& src, const ValueLayout& dst) {
  return make_primitive("plan reorder", src.shape, [&](InferencePrimitive::Impl& impl) {
    const auto unit = [](const ValueLayout& value) {
      return value.step > 0.0F ? value.step : 1.0F;
    };
    const float factor = unit(src) / unit(dst);
    impl.srcs = {src};
    impl.dst = dst;
    if (quantizes(desc_of(src), desc_of(dst), src.shape)) {
      const bool is_signed = desc_of(dst).data_type() == Type::s8;
      const kernels::ByteSteps steps{factor, is_signed ? -128.0F : 0.0F,
                                     is_signed ? 127.0F : 255.0F};
      const std::int64_t threads = calling_thread_width();
      impl.implementation = "own:quantize";
      impl.kernel = [steps, threads, count = src.shape.size()](const float* x, float* y, float*) {
        kernels::quantize(x, count, steps, threads, reinterpret_cast<std::uint8_t*>(y));
      };
      return;
    }
    dnnl::primitive_attr attr = user_scratchpad_attr();
    if (factor != 1.0F) attr.set_output_scales(0, {factor});
    const dnnl::reorder::primitive_desc pd(cpu_engine(), desc_of(src), cpu_engine(), desc_of(dst),
                                           attr);
    adopt<dnnl::reorder>(impl, pd);
    impl.reorders = !same_layout(src, dst);
    impl.src_arguments = {{DNNL_ARG_FROM, desc_of(src)}};
    impl.dst_argument = {DNNL_ARG_TO, desc_of(dst)};
  });
}

Shape concat_output_shape(std::span<const Shape> parts) {
  if (parts.empty()) throw ShapeError("[plan concat] no parts; give at least one");
  std::vector<std::int64_t> dims(parts[0].dims().begin(), parts[0].dims().end());
  if (dims.size() < 2)
    throw ShapeError(fmt::format("[plan concat] part {} has no channels", parts[0].to_string()));
  dims[1] = 0;
  for (const Shape& part : parts) {
    bool fits = part.rank() == parts[0].rank();
    for (std::int64_t i = 0; fits && i < part.rank(); ++i) fits = i == 1 || part[i] == parts[0][i];
    if (!fits)
      throw ShapeError(fmt::format("[plan concat] {} does not fit {}; only channels may differ",
                                   part.to_string(), parts[0].to_string()));
    dims[1] += part[1];
  }
  return Shape(dims);
}

InferencePrimitive make_inference_concat(std::span<const ValueLayout> parts) {
  std::vector<Shape> shapes;
  std::vector<dnnl::memory::desc> descs;
  for (const ValueLayout& part : parts) {
    shapes.push_back(part.shape);
    descs.push_back(desc_of(part));
  }
  const Shape dst = concat_output_shape(shapes);
  return make_primitive("plan concat", dst, [&](InferencePrimitive::Impl& impl) {
    const dnnl::concat::primitive_desc pd(1, descs, cpu_engine(), user_scratchpad_attr());
    adopt<dnnl::concat>(impl, pd);
    impl.srcs.assign(parts.begin(), parts.end());
    impl.dst = value_of(dst, pd.dst_desc());
    for (std::size_t i = 0; i < descs.size(); ++i)
      impl.src_arguments.push_back({DNNL_ARG_MULTIPLE_SRC + static_cast<int>(i), descs[i]});
    impl.dst_argument = {DNNL_ARG_DST, pd.dst_desc()};
  });
}

}  // namespace branchy::dnn
