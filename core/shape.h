// Shape: the immutable logical dimensions of a tensor, outermost first (images NCHW, weights OIHW).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace branchy {

/// Up to five dimensions, each >= 0; a shape without dimensions is a scalar of one element.
class Shape {
 public:
  static constexpr std::int64_t kMaxRank = 5;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);
  /// Throws ShapeError for more than kMaxRank dimensions, a negative one, or a product beyond 2^60.
  explicit Shape(std::span<const std::int64_t> dims);

  [[nodiscard]] std::int64_t rank() const { return rank_; }
  /// Dimension `index`, 0 <= index < rank(); throws ShapeError outside.
  [[nodiscard]] std::int64_t dim(std::int64_t index) const;
  [[nodiscard]] std::int64_t operator[](std::int64_t index) const { return dim(index); }
  /// Number of elements (1 for a scalar).
  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] std::span<const std::int64_t> dims() const {
    return {dims_.data(), static_cast<std::size_t>(rank_)};
  }
  /// The same shape with dimension 0 replaced (another batch size).
  [[nodiscard]] Shape with_batch(std::int64_t batch) const;
  /// `[8,64,16,16]`.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  void assign(std::span<const std::int64_t> dims);

  std::array<std::int64_t, kMaxRank> dims_{};
  std::int64_t rank_ = 0;
  std::int64_t size_ = 1;
};

}  // namespace branchy
