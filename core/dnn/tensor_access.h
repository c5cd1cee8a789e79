// TensorAccess: the physical side of a Tensor, for core/dnn and core/kernels alone.
#pragma once

#include <cstdint>
#include <memory>

#include "core/tensor.h"

namespace branchy::dnn {

class Layout;  // a oneDNN memory descriptor; null stands for plain row-major order
using LayoutPtr = std::shared_ptr<const Layout>;

class TensorAccess {
 public:
  /// The values in whatever layout they have; never reorders.
  static const float* physical(const Tensor& tensor);
  /// As above for writing; marks the tensor as written (Tensor::version).
  static float* mutable_physical(Tensor& tensor);
  /// Number of floats in the buffer, padding of blocked layouts included.
  static std::int64_t physical_size(const Tensor& tensor);
  static const LayoutPtr& layout(const Tensor& tensor);
  /// An uninitialised tensor of this layout (null: row-major).
  static Tensor make(const Shape& shape, const LayoutPtr& layout);
  /// True when nobody else holds the storage, so that it may be overwritten.
  static bool sole_owner(const Tensor& tensor);
};

/// An uninitialised tensor of the same shape and layout.
[[nodiscard]] Tensor empty_like(const Tensor& tensor);
[[nodiscard]] bool same_layout(const Tensor& a, const Tensor& b);
/// `tensor` itself when it has the layout of `like` already, else a reordered copy.
[[nodiscard]] Tensor in_layout_of(const Tensor& tensor, const Tensor& like);

/// How many activation tensors were reordered so far in this process; hot paths keep it still.
[[nodiscard]] std::int64_t num_reorders();

}  // namespace branchy::dnn
