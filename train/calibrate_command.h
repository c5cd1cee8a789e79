// `branchy calibrate`: temperatures by exit, fitted, reported and stored in a model file.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_calibrate_command(CLI::App& app);

}  // namespace branchy
