// `branchy nets`: the networks that the project knows, with parameters and counts.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_nets_command(CLI::App& app);

}  // namespace branchy
