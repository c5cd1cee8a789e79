// `branchy prune`: writes a model without the weakest filters of its on-device part.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_prune_command(CLI::App& app);

}  // namespace branchy
