// `branchy-experiments train-step`: time of a training step, beside a peer's.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_train_step_command(CLI::App& app);

}  // namespace branchy
