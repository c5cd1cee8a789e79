// `branchy-experiments split`: experiments of the papers with real programs over a link.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_split_command(CLI::App& app);

}  // namespace branchy
