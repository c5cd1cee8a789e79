#include "core/kernels/array_chunks.h"

namespace branchy::kernels {

std::vector<ArrayChunk> cut_arrays(std::span<const std::int64_t> sizes) {
  constexpr std::int64_t kChunk = 8192;  // elements: threads end within microseconds of each other
  std::vector<ArrayChunk> chunks;
  std::int64_t before = 0;
  for (std::size_t array = 0; array < sizes.size(); ++array)
    for (std::int64_t begin = 0; begin < sizes[array]; begin += kChunk) {
      const std::int64_t end = std::min(begin + kChunk, sizes[array]);
      chunks.push_back({array, begin, end, before});
      before += end - begin;
    }
  return chunks;
}

}  // namespace branchy::kernels
