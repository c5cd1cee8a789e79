// `branchy-experiments lee-exits`: local exits of trained networks as in Lee et al. 2020.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_lee_exits_command(CLI::App& app);

}  // namespace branchy
