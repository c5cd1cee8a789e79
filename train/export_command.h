// `branchy export`.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_export_command(CLI::App& app);

}  // namespace branchy
