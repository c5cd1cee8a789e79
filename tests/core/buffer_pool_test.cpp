#include "core/buffer_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

namespace branchy {
namespace {

TEST(BufferPool, ReusesWhatWasFreed) {
  buffer_pool::trim();
  { const Buffer warm_up(100000); }
  const std::int64_t before = buffer_pool::num_system_allocations();
  for (int i = 0; i < 100; ++i) const Buffer buffer(100000);
  EXPECT_EQ(buffer_pool::num_system_allocations(), before);
}

TEST(BufferPool, NeverSharesWhatIsInUse) {
  std::vector<Buffer> buffers;
  buffers.reserve(20);
  for (int i = 0; i < 20; ++i) buffers.emplace_back(4096);
  for (std::size_t i = 0; i < buffers.size(); ++i) buffers[i].floats()[0] = static_cast<float>(i);
  for (std::size_t i = 0; i < buffers.size(); ++i)
    EXPECT_EQ(buffers[i].floats()[0], static_cast<float>(i));
}

TEST(BufferPool, WastesAtMostAnEighth) {
  buffer_pool::trim();
  for (const std::size_t bytes : {2048U, 2049U, 5000U, 123457U, 999999U, 1048577U}) {
    const std::int64_t before = buffer_pool::bytes_reserved();
    const Buffer buffer(bytes);
    const std::int64_t taken = buffer_pool::bytes_reserved() - before;
    EXPECT_GE(taken, static_cast<std::int64_t>(bytes));
    EXPECT_LE(taken, static_cast<std::int64_t>(bytes + bytes / 8 + 1));
  }
}

TEST(BufferPool, TrimGivesEverythingUnusedBack) {
  buffer_pool::trim();
  const std::int64_t before = buffer_pool::bytes_reserved();
  { const Buffer buffer(1 << 20); }
  EXPECT_GT(buffer_pool::bytes_reserved(), before);
  buffer_pool::trim();
  EXPECT_EQ(buffer_pool::bytes_reserved(), before);
}

TEST(BufferPool, MovingHandsTheMemoryOver) {
  Buffer a(1024);
  void* data = a.data();
  Buffer b(std::move(a));
  EXPECT_EQ(b.data(), data);
  a = Buffer();
  Buffer c;
  c = std::move(b);
  EXPECT_EQ(c.data(), data);
}

TEST(BufferPool, ServesManyThreads) {
  std::vector<std::thread> threads;
  std::vector<int> damaged(4, 0);
  for (std::size_t t = 0; t < damaged.size(); ++t)
    threads.emplace_back([&damaged, t] {
      for (int i = 0; i < 2000; ++i) {
        const Buffer buffer(1024 + static_cast<std::size_t>(i % 7) * 512);
        buffer.floats()[0] = static_cast<float>(t);
        std::this_thread::yield();
        if (buffer.floats()[0] != static_cast<float>(t)) ++damaged[t];
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(damaged, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace branchy
