// Tensor: float32 values of a logical shape. Blocked oneDNN layouts stay hidden behind it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/shape.h"

namespace branchy {

namespace detail {
struct Storage;
}
namespace dnn {
class TensorAccess;
}

/// A cheap handle on reference-counted, 64-byte-aligned float32 storage with an immutable Shape.
///
/// 1. Copying a Tensor aliases the storage; `clone()` copies the values.
/// 2. The logical order is row-major: images NCHW, weights OIHW. An operation may have left the
///    values in a blocked layout; `data()` and `mutable_data()` bring them into row-major order
///    first (once, in place), so no physical layout is ever visible.
/// 3. Not synchronised: one thread at a time may call a non-const method, or `data()` on a
///    tensor that an operation has just made.
class Tensor {
 public:
  /// An undefined tensor: `defined()` is false and nothing else may be asked of it.
  Tensor() = default;
  /// Uninitialised values; the memory comes from the reusing BufferPool.
  explicit Tensor(const Shape& shape);

  [[nodiscard]] static Tensor zeros(const Shape& shape);
  [[nodiscard]] static Tensor full(const Shape& shape, float value);
  /// A copy of `values` (row-major); throws ShapeError when their count is not `shape.size()`.
  [[nodiscard]] static Tensor from(const Shape& shape, std::span<const float> values);

  [[nodiscard]] bool defined() const { return storage_ != nullptr; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] std::int64_t dim(std::int64_t index) const { return shape_.dim(index); }
  [[nodiscard]] std::int64_t size() const { return shape_.size(); }

  /// The values in row-major order.
  [[nodiscard]] std::span<const float> data() const;
  /// The values in row-major order, for writing; every alias sees what is written.
  [[nodiscard]] std::span<float> mutable_data();
  /// The only value; throws ShapeError when there is not exactly one.
  [[nodiscard]] float item() const;

  [[nodiscard]] Tensor clone() const;
  /// The same storage under another shape of equal size; throws ShapeError otherwise.
  [[nodiscard]] Tensor reshape(const Shape& shape) const;
  void fill(float value);
  /// Copies the values of `src`, which has the same shape, into this storage.
  void copy_from(const Tensor& src);
  [[nodiscard]] bool shares_storage_with(const Tensor& other) const {
    return storage_ == other.storage_;
  }
  /// Counts the writes through `mutable_data`, `fill` and `copy_from`: caches of reordered
  /// weights use it to see that they are stale.
  [[nodiscard]] std::uint64_t version() const;

 private:
  friend class dnn::TensorAccess;

  Shape shape_;
  std::shared_ptr<detail::Storage> storage_;
};

}  // namespace branchy
