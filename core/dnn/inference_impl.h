// Private to core/dnn: what the factories of inference primitives share.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/dnn/inference_primitive.h"
#include "core/dnn/onednn.h"
#include "core/error.h"
#include "core/kernels/batch_norm_kernels.h"

namespace branchy::dnn {

/// How own kernels lay out weights.
enum class OwnForm { kWinograd8, kWinograd16, kPanels, kHalfPanels, kExitHead8, kExitHead16 };

struct PackedTensor::Forms {
  struct Form {
    dnnl::memory::desc desc;
    std::shared_ptr<const Buffer> buffer;
  };
  std::vector<Form> made;
  std::map<OwnForm, std::shared_ptr<const Buffer>> own;
};

struct InferencePrimitive::Impl {
  struct Argument {
    int id = 0;
    dnnl::memory::desc desc;  // may view the value under another shape
  };
  dnnl::primitive primitive;
  /// Instead of `primitive`, for own kernels with one source.
  std::function<void(const float* src, float* dst, float* scratchpad)> kernel;
  std::int64_t kernel_scratchpad_bytes = 0;
  std::string implementation;
  std::vector<ValueLayout> srcs;
  ValueLayout dst;
  std::vector<Argument> src_arguments;
  Argument dst_argument;
  dnnl::memory::desc scratchpad;
  bool accumulates = false;
  bool reorders = false;  // counted in num_reorders
  Arguments constants;
  std::vector<std::shared_ptr<const void>> owners;  // what the constants point into
};

dnnl::memory::desc desc_of(const ValueLayout& value);
ValueLayout value_of(const Shape& shape, const dnnl::memory::desc& desc);
/// User scratchpad and post-ops.
dnnl::primitive_attr inference_attr(const PostOps& post);
/// Row-major `weights`, seen as `plain`, in the layout `packed`; `impl` keeps them alive.
const float* packed_values(InferencePrimitive::Impl& impl, PackedTensor& weights,
                           const dnnl::memory::desc& plain, const dnnl::memory::desc& packed);
/// Weights as an own kernel wants them, laid out by `make` unless they are already.
const float* own_form(InferencePrimitive::Impl& impl, PackedTensor& weights, OwnForm form,
                      const std::function<Buffer()>& make);
/// `packed_values` as a constant argument.
void add_packed(InferencePrimitive::Impl& impl, int argument, PackedTensor& weights,
                const dnnl::memory::desc& plain, const dnnl::memory::desc& packed);
/// `bias` (zeros where undefined) for kernels that read `count` >= its size aligned values.
const float* aligned_bias(InferencePrimitive::Impl& impl, const Tensor& bias, std::int64_t count);
/// Bounds of ReLU and ReLU6, infinite ones without activation.
[[nodiscard]] kernels::Clip clip_of(const PostOps& post);
/// Adds a row-major tensor as a constant argument.
void add_plain(InferencePrimitive::Impl& impl, int argument, const Tensor& tensor);

/// Fills primitive, name and scratchpad from a primitive descriptor.
template <class Primitive, class Descriptor>
void adopt(InferencePrimitive::Impl& impl, const Descriptor& descriptor) {
  impl.primitive = Primitive(descriptor);
  impl.implementation = descriptor.impl_info_str();
  impl.scratchpad = descriptor.scratchpad_desc();
}

/// Throws the Error that names an operation which oneDNN refused.
[[noreturn]] void throw_unmakeable(const char* place, const Shape& src, const char* reason);

/// Runs `make(impl)` and turns oneDNN's exceptions into an Error that names the operation.
template <class Make>
InferencePrimitive make_primitive(const char* place, const Shape& src, const Make& make) {
  auto impl = std::make_shared<InferencePrimitive::Impl>();
  try {
    make(*impl);
  } catch (const dnnl::error& error) {
    throw_unmakeable(place, src, error.what());
  }
  return InferencePrimitive(std::move(impl));
}

}  // namespace branchy::dnn
