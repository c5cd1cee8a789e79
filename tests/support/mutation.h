// Seeded mutations of valid inputs and stored corpora, so that an ordinary test run exercises the
// fuzz entry points.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "core/rng.h"

namespace branchy::test {

using Bytes = std::vector<std::uint8_t>;

/// A copy of `input` with one to four random edits: bit flip, byte change, cut, insertion, copied
/// run or a changed little-endian length.
inline Bytes mutated(Bytes input, Rng& rng) {
  for (std::int64_t edits = 1 + rng.below(4); edits > 0; --edits) {
    if (input.empty()) return input;
    const std::int64_t size = std::ssize(input);
    const std::int64_t at =
        rng.below(2) == 0 ? rng.below(size) : rng.below(std::min<std::int64_t>(size, 160));
    std::uint8_t& byte = input[static_cast<std::size_t>(at)];
    switch (rng.below(6)) {
      case 0:
        byte = static_cast<std::uint8_t>(byte ^ (1U << static_cast<unsigned>(rng.below(8))));
        break;
      case 1:
        byte = static_cast<std::uint8_t>(rng.below(256));
        break;
      case 2:
        input.resize(static_cast<std::size_t>(at));
        break;
      case 3:
        input.insert(input.begin() + at, static_cast<std::uint8_t>(rng.below(256)));
        break;
      case 4: {
        const std::int64_t length = std::min<std::int64_t>(1 + rng.below(32), size - at);
        const Bytes run(input.begin() + at, input.begin() + at + length);
        input.insert(input.begin() + rng.below(size), run.begin(), run.end());
        break;
      }
      default:
        input[static_cast<std::size_t>(rng.below(std::min<std::int64_t>(size, 8)))] =
            static_cast<std::uint8_t>(rng.below(256));
    }
  }
  return input;
}

/// Calls `entry(data, size)` with every seed and `rounds` mutations of each.
template <typename Entry>
void replay_mutations(const std::vector<Bytes>& seeds, std::int64_t rounds, Entry entry) {
  for (std::size_t s = 0; s < seeds.size(); ++s) {
    entry(seeds[s].data(), seeds[s].size());
    Rng rng({2026, s});
    for (std::int64_t round = 0; round < rounds; ++round) {
      const Bytes input = mutated(seeds[s], rng);
      entry(input.data(), input.size());
    }
  }
}

/// Calls `entry(data, size)` with every file of a folder: what the fuzzer found worth keeping.
/// Gives their number.
template <typename Entry>
std::int64_t replay_corpus(const std::filesystem::path& folder, Entry entry) {
  std::int64_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(file.path(), std::ios::binary);
    const Bytes input{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    entry(input.data(), input.size());
    ++count;
  }
  return count;
}

}  // namespace branchy::test
