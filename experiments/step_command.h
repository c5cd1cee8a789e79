// `branchy-experiments train-step` and `infer-step`: time and memory of one step of a network;
// `ceiling`: what the machine gives.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_step_commands(CLI::App& app);

}  // namespace branchy
