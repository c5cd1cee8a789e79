#include "core/tensor.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>

#include "core/buffer_pool.h"
#include "core/dnn/reorder.h"
#include "core/dnn/tensor_access.h"
#include "core/error.h"

namespace branchy {

namespace detail {

struct Storage {
  Buffer buffer;
  dnn::LayoutPtr layout;  // null: row-major
  Shape shape;            // what the layout describes; aliases may have another shape
  std::int64_t num_floats = 0;
  std::uint64_t version = 0;
};

}  // namespace detail

namespace {

// Unique over all tensors, so that a version alone identifies a state of values.
std::uint64_t next_version() {
  static std::atomic<std::uint64_t> counter{0};
  return ++counter;
}

std::shared_ptr<detail::Storage> make_storage(const Shape& shape, const dnn::LayoutPtr& layout) {
  auto storage = std::make_shared<detail::Storage>();
  storage->num_floats = layout ? dnn::layout_num_floats(*layout) : shape.size();
  storage->buffer = Buffer(static_cast<std::size_t>(storage->num_floats) * sizeof(float));
  storage->layout = layout;
  storage->shape = shape;
  storage->version = next_version();
  return storage;
}

void make_plain(detail::Storage& storage) {
  if (storage.layout == nullptr) return;
  Buffer plain(static_cast<std::size_t>(storage.shape.size()) * sizeof(float));
  dnn::reorder_to_plain(*storage.layout, storage.shape, storage.buffer.floats(), plain.floats());
  storage.buffer = std::move(plain);
  storage.num_floats = storage.shape.size();
  storage.layout = nullptr;
}

void require(bool defined) {
  if (!defined) throw ShapeError("[tensor] undefined tensor used; give it a shape first");
}

}  // namespace

Tensor::Tensor(const Shape& shape) : shape_(shape), storage_(make_storage(shape, nullptr)) {}

Tensor Tensor::zeros(const Shape& shape) { return full(shape, 0.0F); }

Tensor Tensor::full(const Shape& shape, float value) {
  Tensor tensor(shape);
  tensor.fill(value);
  return tensor;
}

Tensor Tensor::from(const Shape& shape, std::span<const float> values) {
  if (static_cast<std::int64_t>(values.size()) != shape.size())
    throw ShapeError(fmt::format("[tensor] {} values for shape {}, expected {}", values.size(),
                                 shape.to_string(), shape.size()));
  Tensor tensor(shape);
  std::copy(values.begin(), values.end(), tensor.mutable_data().begin());
  return tensor;
}

std::span<const float> Tensor::data() const {
  require(defined());
  make_plain(*storage_);
  return {storage_->buffer.floats(), static_cast<std::size_t>(size())};
}

std::span<float> Tensor::mutable_data() {
  require(defined());
  make_plain(*storage_);
  storage_->version = next_version();
  return {storage_->buffer.floats(), static_cast<std::size_t>(size())};
}

float Tensor::item() const {
  require(defined());
  if (size() != 1)
    throw ShapeError(
        fmt::format("[tensor] item() of shape {}, expected one element", shape_.to_string()));
  return data()[0];
}

Tensor Tensor::clone() const {
  require(defined());
  Tensor copy = dnn::TensorAccess::make(storage_->shape, storage_->layout);
  std::copy_n(storage_->buffer.floats(), storage_->num_floats, copy.storage_->buffer.floats());
  copy.shape_ = shape_;
  return copy;
}

Tensor Tensor::reshape(const Shape& shape) const {
  require(defined());
  if (shape.size() != size())
    throw ShapeError(fmt::format("[tensor] cannot view {} as {}: {} elements against {}",
                                 shape_.to_string(), shape.to_string(), size(), shape.size()));
  make_plain(*storage_);
  Tensor alias = *this;
  alias.shape_ = shape;
  return alias;
}

void Tensor::fill(float value) {
  auto values = mutable_data();
  std::fill(values.begin(), values.end(), value);
}

void Tensor::copy_from(const Tensor& src) {
  if (src.shape() != shape_)
    throw ShapeError(fmt::format("[tensor] cannot copy {} into {}; the shapes must be equal",
                                 src.shape().to_string(), shape_.to_string()));
  const auto from = src.data();
  std::copy(from.begin(), from.end(), mutable_data().begin());
}

std::uint64_t Tensor::version() const {
  require(defined());
  return storage_->version;
}

namespace dnn {

const float* TensorAccess::physical(const Tensor& tensor) {
  return tensor.storage_->buffer.floats();
}

float* TensorAccess::mutable_physical(Tensor& tensor) {
  tensor.storage_->version = next_version();
  return tensor.storage_->buffer.floats();
}

std::int64_t TensorAccess::physical_size(const Tensor& tensor) {
  return tensor.storage_->num_floats;
}

const LayoutPtr& TensorAccess::layout(const Tensor& tensor) { return tensor.storage_->layout; }

Tensor TensorAccess::make(const Shape& shape, const LayoutPtr& layout) {
  Tensor tensor;
  tensor.shape_ = shape;
  tensor.storage_ = make_storage(shape, layout);
  return tensor;
}

bool TensorAccess::sole_owner(const Tensor& tensor) { return tensor.storage_.use_count() == 1; }

}  // namespace dnn

}  // namespace branchy
