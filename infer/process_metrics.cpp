#include "infer/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "core/provenance.h"
#include "infer/metrics_registry.h"

namespace branchy {
namespace {

double resident_bytes() {
  // The second number of statm: resident pages.
  std::ifstream in("/proc/self/statm");
  double total = 0;
  double resident = 0;
  in >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

void add_process_metrics(MetricsRegistry& registry) {
  registry
      .gauge("branchy_build_info", "Always 1; the version is the label.",
             {{"version", version_string()}})
      .set(1);
  // Now is within the first second of the process: programs call this before they load a model.
  registry
      .gauge("branchy_process_start_time_seconds", "Start of the process in seconds of Unix time.")
      .set(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
               .count());
  const GaugeMetric memory =
      registry.gauge("branchy_process_resident_memory_bytes", "Resident memory of the process.");
  const CounterMetric cpu =
      registry.counter("branchy_process_cpu_seconds_total", "CPU time of the process.");
  registry.before_text([memory, cpu] {
    memory.set(resident_bytes());
    cpu.raise_to(cpu_seconds());
  });
}

}  // namespace branchy
