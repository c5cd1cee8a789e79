// `branchy eval`.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_eval_command(CLI::App& app);

}  // namespace branchy
