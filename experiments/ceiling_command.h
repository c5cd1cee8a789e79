// `branchy-experiments ceiling`: what the machine gives at most.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_ceiling_command(CLI::App& app);

}  // namespace branchy
