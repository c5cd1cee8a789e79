// How much memory this process takes (Linux).
#pragma once

#include <cstdint>

namespace branchy {

struct ProcessMemory {
  std::int64_t resident_bytes = 0;  ///< now
  std::int64_t peak_bytes = 0;      ///< the most so far (VmHWM)
};

/// Zeros where /proc does not tell.
[[nodiscard]] ProcessMemory process_memory();

}  // namespace branchy
