#include "infer/short_spin.h"

#include <unistd.h>

#include <cstdlib>

namespace branchy {

void use_short_spin(char** argv) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread exists yet.
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  if (setenv("GOMP_SPINCOUNT", "1000", 0) != 0) return;
  execv("/proc/self/exe", argv);
}

}  // namespace branchy
