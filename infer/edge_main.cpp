#include <CLI/CLI.hpp>

#include "infer/command_line.h"
#include "infer/edge_command.h"
#include "infer/short_spin.h"

int main(int argc, char** argv) {
  branchy::use_short_spin(argv);
  CLI::App app("Classifies images by the exits here, and by a cloud when none is sure enough",
               "branchy-edge");
  branchy::EdgeCommandOptions options;
  branchy::add_edge_options(app, options);
  return branchy::run_command_line(app, argc, argv,
                                   [&] { return branchy::run_edge_command(options); });
}
