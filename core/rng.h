// Rng: an explicit, counter-based random number generator. The same key gives the same numbers on
// every machine, whatever the thread count, so augmentation is a function of (seed, epoch, index).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace branchy {

/// A stream of numbers named by a key, e.g. `Rng({seed, epoch, index})`. Streams with different
/// keys are independent. Built on SplitMix64 (Steele, Lea, Flood 2014), whose state is a counter.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : Rng({seed}) {}
  Rng(std::initializer_list<std::uint64_t> key);

  /// 64 uniform bits.
  std::uint64_t next_u64();
  /// Uniform in [0, 1), 24 bits.
  float uniform();
  /// Uniform in [low, high).
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  /// Uniform integer in [0, bound), bound >= 1, without modulo bias.
  std::int64_t below(std::int64_t bound);
  /// Standard normal (Box-Muller, one value a call).
  float normal();
  /// A uniformly random order of 0 .. n-1 (Fisher-Yates).
  std::vector<std::int64_t> permutation(std::int64_t n);

 private:
  std::uint64_t state_ = 0;
};

}  // namespace branchy
