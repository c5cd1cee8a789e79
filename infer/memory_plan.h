// Memory plan: where in one arena the values of a program lie, by when they are alive.
#pragma once

#include <cstdint>
#include <span>

namespace branchy::detail {

/// A buffer that holds a value from step `first` to step `last`, both included.
struct PlannedBuffer {
  std::int64_t bytes = 0;
  std::int64_t first = 0, last = 0;
  std::int64_t offset = 0;  ///< set by `assign_offsets`, a multiple of 64
};

/// Gives buffers that are alive together disjoint ranges, largest first into the lowest gap; gives
/// the size of the arena in bytes.
std::int64_t assign_offsets(std::span<PlannedBuffer> buffers);

}  // namespace branchy::detail
