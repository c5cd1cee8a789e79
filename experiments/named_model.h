// NamedModel: a trained network and the name that tables give it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace branchy {

struct NamedModel {
  std::string name, path;
};

/// Adds --model NAME=RUN, any number.
void add_named_model_option(CLI::App& app, std::vector<std::string>& models);

/// Reads each NAME=RUN. Throws ConfigError naming `command` for any other text.
[[nodiscard]] std::vector<NamedModel> named_models(std::string_view command,
                                                   const std::vector<std::string>& given);

}  // namespace branchy
