// `branchy adapt`.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_adapt_command(CLI::App& app);

}  // namespace branchy
