#include "core/threads.h"

#include <fmt/core.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <vector>

#include "core/dnn/matmul.h"
#include "core/error.h"

namespace branchy {

namespace {

// Flush-to-zero and denormals-are-zero (Intel SDM, MXCSR bits 15 and 6).
constexpr unsigned kFlushDenormals = 0x8040;

/// The CPUs that the process was started with, read before any thread is placed.
const cpu_set_t& initial_cpus() {
  static const cpu_set_t cpus = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof(set), &set) != 0) CPU_SET(0, &set);
    return set;
  }();
  return cpus;
}

std::vector<int> available_cpus() {
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &initial_cpus())) cpus.push_back(cpu);
  return cpus;
}

void place_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ::pthread_setaffinity_np(::pthread_self(), sizeof(set),
                           &set);  // best effort: only speed depends on it
}

}  // namespace

std::int64_t num_available_cpus() { return CPU_COUNT(&initial_cpus()); }

void set_num_threads(std::int64_t count) {
  const std::vector<int> cpus = available_cpus();
  if (count < 1 || count > static_cast<std::int64_t>(cpus.size()))
    throw ConfigError(fmt::format(
        "[threads] {} threads asked for, expected 1 to {} (the CPUs that this process may use)",
        count, cpus.size()));
  omp_set_dynamic(0);
  omp_set_num_threads(static_cast<int>(count));
  dnn::set_blas_threads(count);
  const bool place = count > 1;
  const std::size_t spread = cpus.size() / static_cast<std::size_t>(count);
#pragma omp parallel num_threads(static_cast <int>(count))
  {
    _mm_setcsr(_mm_getcsr() | kFlushDenormals);
    if (place) place_on(cpus[static_cast<std::size_t>(omp_get_thread_num()) * spread]);
  }
}

std::int64_t num_threads() { return omp_get_max_threads(); }

void for_each_index(std::int64_t count, std::int64_t threads,
                    const std::function<void(std::int64_t thread, std::int64_t index)>& body) {
#pragma omp parallel for schedule(static) num_threads(static_cast <int>(threads))
  for (std::int64_t index = 0; index < count; ++index) body(omp_get_thread_num(), index);
}

void unpin_this_thread() {
  ::pthread_setaffinity_np(::pthread_self(), sizeof(cpu_set_t), &initial_cpus());
}

}  // namespace branchy
