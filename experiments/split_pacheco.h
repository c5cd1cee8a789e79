// `branchy-experiments split pacheco`: Fig. 6 and 7 of Pacheco et al. over an emulated link.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_split_pacheco_command(CLI::App& app);

}  // namespace branchy
