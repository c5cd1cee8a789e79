// `branchy nets`: the known networks with parameters and counts, or the blocks of one of them.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_nets_command(CLI::App& app);

}  // namespace branchy
