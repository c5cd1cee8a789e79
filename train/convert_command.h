// `branchy convert`.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_convert_command(CLI::App& app);

}  // namespace branchy
