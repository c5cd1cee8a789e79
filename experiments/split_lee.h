// `branchy-experiments split lee`: section 4 of Lee et al. with three programs.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_split_lee_command(CLI::App& app);

}  // namespace branchy
