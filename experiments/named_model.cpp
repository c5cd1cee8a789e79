#include "experiments/named_model.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {

void add_named_model_option(CLI::App& app, std::vector<std::string>& models) {
  app.add_option("--model", models,
                 "NAME=RUN of a trained network, any number: SEM-5=runs/sem5 (one early exit), "
                 "MEM=runs/mem (several, of which one is active)")
      ->required()
      ->allow_extra_args(false);
}

std::vector<NamedModel> named_models(std::string_view command,
                                     const std::vector<std::string>& given) {
  std::vector<NamedModel> models;
  for (const std::string& text : given) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
      throw ConfigError(fmt::format("[{}] --model '{}', expected NAME=RUN, such as SEM-5=runs/sem5",
                                    command, printable(text)));
    models.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return models;
}

}  // namespace branchy
