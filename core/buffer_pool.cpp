#include "core/buffer_pool.h"

#include <sys/mman.h>

#include <bit>
#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>
#include <vector>

namespace branchy {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSmallest = 1024;
constexpr std::size_t kHugePage = std::size_t{2} << 20U;

std::size_t size_class_of(std::size_t bytes) {
  if (bytes <= kSmallest) return kSmallest;
  const std::size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

std::align_val_t alignment_of(std::size_t size_class) {
  return std::align_val_t{size_class < kHugePage ? kAlignment : kHugePage};
}

void* allocate(std::size_t size_class) {
  void* data = ::operator new(size_class, alignment_of(size_class));
  // Passes over large tensors otherwise wait for page tables; without such pages nothing changes.
  if (size_class >= kHugePage)
    static_cast<void>(::madvise(data, size_class / kHugePage * kHugePage, MADV_HUGEPAGE));
  return data;
}

// The one mutable object of the process in core: memory is a resource of the process, and tensors
// are freed wherever their last handle dies.
struct Pool {
  std::mutex mutex;
  std::unordered_map<std::size_t, std::vector<void*>> free;
  std::int64_t num_system_allocations = 0;
  std::int64_t bytes_reserved = 0;
};

// Never destroyed, so that tensors with static storage duration may be freed at any time.
Pool& pool() {
  static Pool& instance = *new Pool;  // NOLINT(cppcoreguidelines-owning-memory)
  return instance;
}

void* take(std::size_t size_class) {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  auto& kept = p.free[size_class];
  if (!kept.empty()) {
    void* data = kept.back();
    kept.pop_back();
    return data;
  }
  void* data = allocate(size_class);
  ++p.num_system_allocations;
  p.bytes_reserved += static_cast<std::int64_t>(size_class);
  return data;
}

void give_back(void* data, std::size_t size_class) noexcept {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  p.free[size_class].push_back(data);
}

}  // namespace

Buffer::Buffer(std::size_t bytes)
    : data_(take(size_class_of(bytes))), size_class_(size_class_of(bytes)) {}

Buffer::~Buffer() {
  if (data_ != nullptr) give_back(data_, size_class_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_class_(std::exchange(other.size_class_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_class_, other.size_class_);
  return *this;
}

namespace buffer_pool {

std::int64_t num_system_allocations() {
  const std::lock_guard lock(pool().mutex);
  return pool().num_system_allocations;
}

std::int64_t bytes_reserved() {
  const std::lock_guard lock(pool().mutex);
  return pool().bytes_reserved;
}

void trim() {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  for (auto& [size_class, kept] : p.free) {
    for (void* data : kept) ::operator delete(data, alignment_of(size_class));
    p.bytes_reserved -= static_cast<std::int64_t>(size_class * kept.size());
  }
  p.free.clear();
}

}  // namespace buffer_pool

}  // namespace branchy
