// Short spinning of waiting OpenMP threads, for programs that serve.
#pragma once

namespace branchy {

/// libgomp's threads spin 300,000 iterations before they sleep, which steals CPU time from whoever
/// else runs (I/O, an edge and a cloud on one machine). libgomp reads GOMP_SPINCOUNT at load only,
/// so: when it and OMP_WAIT_POLICY are unset, sets it to 1000 and executes this program again with
/// the same arguments. Call first in main. Returns when nothing is to be done, or when the program
/// cannot be executed again (no /proc), which costs speed only.
void use_short_spin(char** argv);

}  // namespace branchy
