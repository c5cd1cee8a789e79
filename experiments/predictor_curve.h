// Fig. 7 of Dong et al. 2022: accuracy over on-device operations with and without an Exit
// Predictor, as thresholds are swept.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_predictor_curve_command(CLI::App& app);

}  // namespace branchy
