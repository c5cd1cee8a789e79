#include "infer/memory_plan.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace branchy::detail {

namespace {

constexpr std::int64_t kAlignment = 64;  // a cache line, and what oneDNN's kernels like

std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

std::int64_t assign_offsets(std::span<PlannedBuffer> buffers) {
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return buffers[a].bytes > buffers[b].bytes;
  });
  std::vector<const PlannedBuffer*> placed;  // by offset
  std::int64_t arena = 0;
  for (const std::size_t index : order) {
    PlannedBuffer& buffer = buffers[index];
    std::int64_t offset = 0;
    for (const PlannedBuffer* other : placed) {
      if (other->last < buffer.first || buffer.last < other->first) continue;
      if (offset + aligned(buffer.bytes) <= other->offset) break;
      offset = std::max(offset, other->offset + aligned(other->bytes));
    }
    buffer.offset = offset;
    arena = std::max(arena, offset + aligned(buffer.bytes));
    const auto at = std::find_if(placed.begin(), placed.end(), [&](const PlannedBuffer* other) {
      return other->offset > offset;
    });
    placed.insert(at, &buffer);
  }
  return arena;
}

}  // namespace branchy::detail
