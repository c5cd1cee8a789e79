// Configuration files (--config, config.toml) as TOML means them.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace branchy {

/// Adds --config to `app`, with `file` read unless empty; unknown keys are refused. Unlike CLI11's
/// own reader it takes # for a comment outside quotes alone: folders may be called `photos#2`.
void add_config_file(CLI::App& app, const std::string& file, const std::string& help);

}  // namespace branchy
