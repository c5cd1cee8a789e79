// `branchy-experiments load`: many clients against a cloud, every answer checked.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_load_command(CLI::App& app);

}  // namespace branchy
