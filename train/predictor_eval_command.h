// `branchy predictor eval`.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_predictor_eval_command(CLI::App& predictor);

}  // namespace branchy
