// Fills the memory that operations are about to receive with NaN, so that values which an operation
// forgets to write, or reads before writing, show in its result.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "core/buffer_pool.h"

namespace branchy::test {

/// Afterwards the pool hands out NaN for requests up to 32 KiB (six buffers of every size
/// class).
inline void poison_buffer_pool() {
  constexpr std::size_t kLargest = std::size_t{32} * 1024;
  std::vector<Buffer> buffers;
  for (std::size_t power = 1024; power < kLargest; power *= 2)
    for (std::size_t bytes = power; bytes < 2 * power; bytes += power / 8)
      for (int i = 0; i < 6; ++i) {
        Buffer& buffer = buffers.emplace_back(bytes);
        for (std::size_t f = 0; f < bytes / sizeof(float); ++f)
          buffer.floats()[f] = std::numeric_limits<float>::quiet_NaN();
      }
}

}  // namespace branchy::test
