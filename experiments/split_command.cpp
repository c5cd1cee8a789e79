#include "experiments/split_command.h"

#include <CLI/CLI.hpp>

#include "experiments/split_lee.h"
#include "experiments/split_pacheco.h"

namespace branchy {

void add_split_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "split", "Experiments of the papers on split inference, with real programs over a link");
  verb->require_subcommand(1);
  add_split_pacheco_command(*verb);
  add_split_lee_command(*verb);
}

}  // namespace branchy
