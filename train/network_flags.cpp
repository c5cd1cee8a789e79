#include "train/network_flags.h"

#include <CLI/CLI.hpp>

namespace branchy {

void add_network_flags(CLI::App& app, std::vector<std::string>& options, std::string& exit_after) {
  app.add_option("--option", options,
                 "Option of the network, KEY=VALUE: exit=light, placement=flops, ...; the headers "
                 "in layers/models list them")
      ->allow_extra_args(false);
  app.add_option("--exit-after", exit_after,
                 "Places of the early exits by hand: numbers or names of blocks, such as 5,13");
}

NetworkOptions network_options(const std::vector<std::string>& options,
                               const std::string& exit_after) {
  NetworkOptions result;
  for (const std::string& option : options) add_option(result, option);
  if (!exit_after.empty()) add_option(result, "exit-after=" + exit_after);
  return result;
}

}  // namespace branchy
