// A seeded split of a training set into training and validation images.
#pragma once

#include <cstdint>
#include <vector>

namespace branchy {

/// Two disjoint ascending index lists that together hold 0 .. size-1.
struct ValidationSplit {
  std::vector<std::int64_t> train;
  std::vector<std::int64_t> validation;
};

/// Draws `count` of `size` images for validation, uniformly by `seed`; the same arguments give the
/// same split on every machine, so a model records only (count, seed). Throws ConfigError unless
/// 0 <= count < size.
[[nodiscard]] ValidationSplit split_validation(std::int64_t size, std::int64_t count,
                                               std::uint64_t seed);

}  // namespace branchy
