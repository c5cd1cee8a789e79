#include "infer/process_memory.h"

#include <fstream>
#include <string>

namespace branchy {

ProcessMemory process_memory() {
  ProcessMemory memory;
  std::ifstream in("/proc/self/status");
  for (std::string name; in >> name;) {
    std::int64_t kibibytes = 0;
    if (name == "VmHWM:" && in >> kibibytes) memory.peak_bytes = kibibytes << 10;
    if (name == "VmRSS:" && in >> kibibytes) memory.resident_bytes = kibibytes << 10;
    in.ignore(4096, '\n');
  }
  return memory;
}

}  // namespace branchy
