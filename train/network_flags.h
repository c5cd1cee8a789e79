// Flags of the command line that set the options of a network.
#pragma once

#include <string>
#include <vector>

#include "layers/network_options.h"

namespace CLI {
class App;
}

namespace branchy {

/// Adds --option KEY=VALUE (any number) and --exit-after PLACES.
void add_network_flags(CLI::App& app, std::vector<std::string>& options, std::string& exit_after);

/// What the two flags say together; throws ConfigError for a wrong form or a key given twice.
[[nodiscard]] NetworkOptions network_options(const std::vector<std::string>& options,
                                             const std::string& exit_after);

}  // namespace branchy
