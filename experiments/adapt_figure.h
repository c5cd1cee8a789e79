// `branchy-experiments adapt-figure`: Fig. 10 of Dong, Mao, Zhang 2022.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_adapt_figure_command(CLI::App& app);

}  // namespace branchy
