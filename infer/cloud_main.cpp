#include <CLI/CLI.hpp>

#include "infer/cloud_command.h"
#include "infer/command_line.h"
#include "infer/short_spin.h"

int main(int argc, char** argv) {
  branchy::use_short_spin(argv);
  CLI::App app("Serves a branchy model over HTTP (Open Inference Protocol v2)", "branchy-cloud");
  branchy::CloudCommandOptions options;
  branchy::add_cloud_options(app, options);
  return branchy::run_command_line(app, argc, argv,
                                   [&] { return branchy::run_cloud_command(options); });
}
