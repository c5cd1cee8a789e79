// `branchy finetune`.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_finetune_command(CLI::App& app);

}  // namespace branchy
