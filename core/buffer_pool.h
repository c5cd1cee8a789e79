// BufferPool: the reusing allocator behind every tensor and scratchpad.
#pragma once

#include <cstddef>
#include <cstdint>

namespace branchy {

/// Memory of one tensor or scratchpad: 64-byte aligned, uninitialised, given back to the pool by
/// the destructor. Movable, not copyable.
class Buffer {
 public:
  Buffer() = default;
  /// Takes `bytes` (0 or more) from the pool; throws std::bad_alloc when the system has no more.
  explicit Buffer(std::size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] float* floats() const { return static_cast<float*>(data_); }

 private:
  void* data_ = nullptr;
  std::size_t size_class_ = 0;
};

/// Facts about the pool of the process. Freed buffers are kept by size class (eighths of a power
/// of two, so at most 12.5 % is wasted) and handed out again last in, first out; a step that
/// repeats the previous one therefore asks the system for nothing.
namespace buffer_pool {
/// How often the pool has asked the system allocator so far.
[[nodiscard]] std::int64_t num_system_allocations();
/// Bytes obtained from the system and not returned to it: in use or kept for reuse.
[[nodiscard]] std::int64_t bytes_reserved();
/// Returns every kept buffer to the system.
void trim();
}  // namespace buffer_pool

}  // namespace branchy
