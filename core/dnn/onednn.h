// Private to core/dnn: the engine, layouts and the few idioms every primitive needs.
// Written for oneDNN 2.6; a port to 3.x changes core/dnn/compat.h.
#pragma once

#include <dnnl.hpp>
#include <unordered_map>

#include "core/buffer_pool.h"
#include "core/dnn/tensor_access.h"

namespace branchy::dnn {

class Layout {
 public:
  explicit Layout(dnnl::memory::desc desc) : desc_(desc) {}
  [[nodiscard]] const dnnl::memory::desc& desc() const { return desc_; }

 private:
  dnnl::memory::desc desc_;
};

using Arguments = std::unordered_map<int, dnnl::memory>;

/// The CPU engine: immutable, made on first use.
const dnnl::engine& cpu_engine();

dnnl::memory::dims to_dims(const Shape& shape);
/// Row-major descriptor of a shape.
dnnl::memory::desc plain_desc(const Shape& shape);
/// Descriptor of a shape whose layout oneDNN may choose.
dnnl::memory::desc any_desc(const Shape& shape);
/// Descriptor of the tensor as it lies in memory.
dnnl::memory::desc desc_of(const Tensor& tensor);
/// Null when `desc` is row-major for `shape`.
LayoutPtr make_layout(const dnnl::memory::desc& desc, const Shape& shape);

Tensor empty_with_desc(const Shape& shape, const dnnl::memory::desc& desc);
/// `tensor` itself when it lies as `desc` says, else a reordered copy (counted in num_reorders).
Tensor in_desc(const Tensor& tensor, const dnnl::memory::desc& desc);

/// Adds one to num_reorders.
void count_reorder();

dnnl::memory memory_of(const Tensor& tensor);
dnnl::memory memory_of(const dnnl::memory::desc& desc, const float* data);

/// Attributes with the scratchpad provided by the caller at execution.
dnnl::primitive_attr user_scratchpad_attr();
/// Executes with a scratchpad of `scratchpad_desc` from the buffer pool and waits.
void execute(const dnnl::primitive& primitive, Arguments& arguments,
             const dnnl::memory::desc& scratchpad_desc);

/// Reorders weights between row-major and packed order with a primitive made once.
class Reorder {
 public:
  Reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to);
  void operator()(const float* from, float* to) const;
  [[nodiscard]] bool needed() const { return from_ != to_; }

 private:
  dnnl::memory::desc from_, to_, scratchpad_;
  dnnl::reorder primitive_;
};

/// Weights in the layout a primitive wants, reordered again only after they were written.
class PackedWeights {
 public:
  PackedWeights(const dnnl::memory::desc& plain, const dnnl::memory::desc& packed);
  /// The packed values of row-major `weights`.
  const float* get(const Tensor& weights);
  /// Gives the copy's memory back. Training changes weights every step, so that the next call packs
  /// them anyway; kept, the two copies that a convolution needs would triple its weights.
  void release();
  [[nodiscard]] const dnnl::memory::desc& desc() const { return packed_; }

 private:
  dnnl::memory::desc packed_;
  Reorder reorder_;
  Buffer buffer_;
  std::uint64_t version_ = 0;
};

}  // namespace branchy::dnn
