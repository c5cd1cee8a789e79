// `branchy-experiments train-step` and `infer-step`: time and memory of a step of a network.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_step_commands(CLI::App& app);

}  // namespace branchy
