// `branchy profile`.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_profile_command(CLI::App& app);

}  // namespace branchy
