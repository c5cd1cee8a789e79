// `branchy-experiments split-agreement`: does the split system answer as the evaluation says?
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_split_agreement_command(CLI::App& app);

}  // namespace branchy
