#include "core/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"

namespace branchy {

namespace {
constexpr std::int64_t kMaxElements = std::int64_t{1} << 60;  // 2^62 bytes of float32 fit size_t
}  // namespace

Shape::Shape(std::initializer_list<std::int64_t> dims) { assign({dims.begin(), dims.size()}); }

Shape::Shape(std::span<const std::int64_t> dims) { assign(dims); }

void Shape::assign(std::span<const std::int64_t> dims) {
  if (static_cast<std::int64_t>(dims.size()) > kMaxRank)
    throw ShapeError(
        fmt::format("[shape] {} dimensions, expected at most {}", dims.size(), kMaxRank));
  for (const std::int64_t dim : dims) {
    if (dim < 0)
      throw ShapeError(fmt::format("[shape] dimension {} in [{}], expected 0 or more", dim,
                                   fmt::join(dims, ",")));
    if (dim != 0 && size_ > kMaxElements / dim)
      throw ShapeError(
          fmt::format("[shape] [{}] has more than 2^60 elements", fmt::join(dims, ",")));
    dims_[static_cast<std::size_t>(rank_++)] = dim;
    size_ *= dim;
  }
}

std::int64_t Shape::dim(std::int64_t index) const {
  if (index < 0 || index >= rank_)
    throw ShapeError(
        fmt::format("[shape] dimension {} of {}, which has {}", index, to_string(), rank_));
  return dims_[static_cast<std::size_t>(index)];
}

Shape Shape::with_batch(std::int64_t batch) const {
  std::array<std::int64_t, kMaxRank> dims = dims_;
  dims[0] = batch;
  return Shape(std::span<const std::int64_t>(dims.data(), static_cast<std::size_t>(rank_)));
}

std::string Shape::to_string() const { return fmt::format("[{}]", fmt::join(dims(), ",")); }

}  // namespace branchy
