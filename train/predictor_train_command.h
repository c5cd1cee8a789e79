// `branchy predictor train`.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_predictor_train_command(CLI::App& predictor);

}  // namespace branchy
