// One thread pool for everything: OpenMP, which oneDNN and OpenBLAS share.
#pragma once

#include <cstdint>
#include <functional>

namespace branchy {

/// Sets the thread count of OpenMP and OpenBLAS, places two or more threads on distinct CPUs
/// (unbound OpenMP threads may share one CPU for seconds) and makes each flush denormals to zero.
/// Call before anything computes, in each thread that does (OpenMP keeps a team for each). Throws
/// ConfigError when `count` is not 1 .. available CPUs, IoError when OpenBLAS is not its OpenMP
/// build.
void set_num_threads(std::int64_t count);
[[nodiscard]] std::int64_t num_threads();
/// Calls `body(thread, index)` for every index below `count`, on threads 0 .. `threads` - 1, each a
/// contiguous range. What runs inside finds itself on one thread. `body` must not throw.
void for_each_index(std::int64_t count, std::int64_t threads,
                    const std::function<void(std::int64_t thread, std::int64_t index)>& body);
/// CPUs that this process may run on.
[[nodiscard]] std::int64_t num_available_cpus();
/// Gives the calling thread (a loader, an I/O thread) back all CPUs of the process.
void unpin_this_thread();

}  // namespace branchy
