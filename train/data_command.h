// `branchy data synth` and `branchy data fetch`: getting images to train on.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_data_command(CLI::App& app);

}  // namespace branchy
