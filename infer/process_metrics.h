// What every program tells about itself on /metrics: version, memory, CPU time, start.
#pragma once

namespace branchy {

class MetricsRegistry;

/// Adds `branchy_build_info{version}` = 1, `branchy_process_resident_memory_bytes`,
/// `branchy_process_cpu_seconds_total` and `branchy_process_start_time_seconds` (Unix time), read
/// anew for each text. Linux (/proc).
void add_process_metrics(MetricsRegistry& registry);

}  // namespace branchy
