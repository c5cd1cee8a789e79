#include "infer/memory_plan.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/rng.h"

namespace branchy::detail {
namespace {

TEST(MemoryPlan, BuffersThatAreAliveTogetherNeverOverlap) {
  Rng rng(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<PlannedBuffer> buffers(30);
    for (PlannedBuffer& buffer : buffers) {
      buffer.bytes = 1 + rng.below(5000);
      buffer.first = rng.below(40);
      buffer.last = buffer.first + rng.below(6);
    }
    const std::int64_t arena = assign_offsets(buffers);
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      EXPECT_EQ(buffers[i].offset % 64, 0);
      EXPECT_LE(buffers[i].offset + buffers[i].bytes, arena);
      for (std::size_t j = 0; j < i; ++j) {
        const PlannedBuffer& a = buffers[i];
        const PlannedBuffer& b = buffers[j];
        const bool apart_in_time = a.last < b.first || b.last < a.first;
        const bool apart_in_space =
            a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
        EXPECT_TRUE(apart_in_time || apart_in_space) << "buffers " << i << " and " << j;
      }
    }
  }
}

TEST(MemoryPlan, AChainOfEqualBuffersNeedsTwo) {
  std::vector<PlannedBuffer> buffers;
  for (std::int64_t step = 0; step < 10; ++step)
    buffers.push_back({.bytes = 1000, .first = step, .last = step + 1});
  EXPECT_EQ(assign_offsets(buffers), 2 * 1024);
}

TEST(MemoryPlan, NothingNeedsNothing) { EXPECT_EQ(assign_offsets({}), 0); }

}  // namespace
}  // namespace branchy::detail
