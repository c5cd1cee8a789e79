// CacheSubset: some of the samples of a logits cache, to fit on some and choose on others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "train/logits_cache.h"

namespace branchy {

/// Samples `index`, `index` + `step`, ... (from 1) of a cache.
struct CacheSubset {
  std::int64_t index = 1, step = 1;
  [[nodiscard]] bool whole() const { return step == 1; }
};

/// `I/N`: every Nth sample, from the Ith on; `1/2` and `2/2` are two halves. Throws ConfigError
/// unless 1 <= I <= N.
[[nodiscard]] CacheSubset parse_cache_subset(std::string_view text);
/// "1/2"; "1/1" of all samples.
[[nodiscard]] std::string to_text(const CacheSubset& subset);

/// Whether subsets of the same cache share samples, as far as their numbers say: i = a mod m and
/// i = b mod n have a solution when gcd(m, n) divides a - b.
[[nodiscard]] bool overlap(const CacheSubset& a, const CacheSubset& b);

/// Throws ConfigError when no sample is left.
[[nodiscard]] LogitsCache take_subset(const LogitsCache& cache, const CacheSubset& subset);

}  // namespace branchy
