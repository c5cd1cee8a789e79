// `branchy-experiments link`: a network between two programs, emulated.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

struct LinkConditions;

/// Adds --mbit, --up-mbit, --down-mbit, --round-trip-ms and --jitter-ms, which fill `conditions`
/// when the command line has been read.
void add_link_options(CLI::App& app, LinkConditions& conditions);
void add_link_command(CLI::App& app);

}  // namespace branchy
