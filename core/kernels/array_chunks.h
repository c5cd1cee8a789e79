// Many arrays, all parameters of a network say, cut into chunks for one parallel pass over them.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "core/kernels/parallel.h"

namespace branchy::kernels {

/// Elements [begin, end) of array `array`.
struct ArrayChunk {
  std::size_t array = 0;
  std::int64_t begin = 0, end = 0;
  std::int64_t before = 0;  ///< elements of all chunks before this one
};

/// Arrays of these sizes in order, in chunks whose borders depend on the sizes alone.
[[nodiscard]] std::vector<ArrayChunk> cut_arrays(std::span<const std::int64_t> sizes);

/// Calls `body(chunk, index)` for each chunk. Threads take contiguous runs of chunks with about
/// equally many elements. `body` must not throw.
template <typename Body>
void parallel_chunks(std::span<const ArrayChunk> chunks, const Body& body) {
  if (chunks.empty()) return;
  const ArrayChunk& last = chunks.back();
  const std::int64_t total = last.before + last.end - last.begin;
#pragma omp parallel if (total >= kSerialBelow)
  {
    const std::int64_t threads = omp_get_num_threads();
    const auto border = [&](std::int64_t thread) {
      return std::partition_point(chunks.begin(), chunks.end(), [&](const ArrayChunk& chunk) {
        return chunk.before < total * thread / threads;
      });
    };
    const auto end = border(omp_get_thread_num() + 1);
    for (auto chunk = border(omp_get_thread_num()); chunk != end; ++chunk)
      body(*chunk, static_cast<std::size_t>(chunk - chunks.begin()));
  }
}

}  // namespace branchy::kernels
