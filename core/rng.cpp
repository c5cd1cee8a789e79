#include "core/rng.h"

#include <cmath>
#include <numbers>
#include <utility>

namespace branchy {

namespace {

constexpr std::uint64_t kGamma = 0x9E3779B97F4A7C15ULL;

std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31U);
}

}  // namespace

Rng::Rng(std::initializer_list<std::uint64_t> key) {
  for (const std::uint64_t part : key) state_ = mix(state_ + kGamma + mix(part + kGamma));
}

std::uint64_t Rng::next_u64() {
  state_ += kGamma;
  return mix(state_);
}

float Rng::uniform() { return static_cast<float>(next_u64() >> 40U) * 0x1.0p-24F; }

std::int64_t Rng::below(std::int64_t bound) {
  const auto range = static_cast<std::uint64_t>(bound);
  const std::uint64_t reject_from = ~std::uint64_t{0} - (~std::uint64_t{0} % range + 1) % range;
  std::uint64_t bits = next_u64();
  while (bits > reject_from) bits = next_u64();
  return static_cast<std::int64_t>(bits % range);
}

float Rng::normal() {
  const double radius_u = (static_cast<double>(next_u64() >> 11U) + 1.0) * 0x1.0p-53;
  const double angle_u = static_cast<double>(next_u64() >> 11U) * 0x1.0p-53;
  return static_cast<float>(std::sqrt(-2.0 * std::log(radius_u)) *
                            std::cos(2.0 * std::numbers::pi * angle_u));
}

std::vector<std::int64_t> Rng::permutation(std::int64_t n) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = i;
  for (std::int64_t i = n - 1; i > 0; --i)
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(below(i + 1))]);
  return order;
}

}  // namespace branchy
