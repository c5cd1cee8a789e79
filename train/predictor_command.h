// `branchy predictor`: trains and judges exit predictors.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_predictor_command(CLI::App& app);

}  // namespace branchy
