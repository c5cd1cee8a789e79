// `branchy train`.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_train_command(CLI::App& app);

}  // namespace branchy
