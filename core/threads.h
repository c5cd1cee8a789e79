// One thread pool for everything: OpenMP, which oneDNN and OpenBLAS share.
#pragma once

#include <cstdint>

namespace branchy {

/// Sets the thread count of OpenMP and OpenBLAS, places two or more threads on distinct CPUs
/// (unbound OpenMP threads may share one CPU for seconds) and makes each flush denormals to zero.
/// Call before anything computes, in each thread that does (OpenMP keeps a team for each). Throws
/// ConfigError when `count` is not 1 .. available CPUs, IoError when OpenBLAS is not its OpenMP
/// build.
void set_num_threads(std::int64_t count);
[[nodiscard]] std::int64_t num_threads();
/// CPUs that this process may run on.
[[nodiscard]] std::int64_t num_available_cpus();
/// Gives the calling thread (a loader, an I/O thread) back all CPUs of the process.
void unpin_this_thread();

}  // namespace branchy
