// `branchy plan`.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_plan_command(CLI::App& app);

}  // namespace branchy
