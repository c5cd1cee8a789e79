#include "data/split.h"

#include <fmt/core.h>

#include "core/error.h"
#include "core/rng.h"

namespace branchy {

namespace {
// Keeps the split's stream apart from those of the loader under the same seed.
constexpr std::uint64_t kSplitStream = 0x73706C6974ULL;  // "split"
}  // namespace

ValidationSplit split_validation(std::int64_t size, std::int64_t count, std::uint64_t seed) {
  if (count < 0 || count >= size)
    throw ConfigError(
        fmt::format("[validation split] {} of {} images, expected 0 to {}; choose "
                    "another --val",
                    count, size, size - 1));
  const std::vector<std::int64_t> order = Rng({kSplitStream, seed}).permutation(size);
  std::vector<bool> held_out(static_cast<std::size_t>(size), false);
  for (std::int64_t i = 0; i < count; ++i)
    held_out[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = true;
  ValidationSplit split;
  for (std::int64_t i = 0; i < size; ++i)
    (held_out[static_cast<std::size_t>(i)] ? split.validation : split.train).push_back(i);
  return split;
}

}  // namespace branchy
