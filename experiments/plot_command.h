// `branchy-experiments plot`: SVG files from what other commands wrote.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_plot_command(CLI::App& app);

}  // namespace branchy
