// `branchy-experiments`: one verb per reproduced table, figure or measurement.
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "core/error.h"
#include "core/provenance.h"
#include "experiments/split_agreement.h"
#include "experiments/tables_command.h"
#include "experiments/train_step.h"

namespace {

int run(int argc, char** argv) {
  CLI::App app("branchy-experiments repeats the project's measurements and the papers' tables");
  app.set_version_flag("--version", branchy::version_string());
  app.require_subcommand(1);
  branchy::add_split_agreement_command(app);
  branchy::add_tables_command(app);
  branchy::add_train_step_command(app);
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "branchy-experiments: {}; see branchy-experiments --help\n", error.what());
    return 2;
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const branchy::ConfigError& error) {
    fmt::print(stderr, "branchy-experiments: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "branchy-experiments: {}\n", error.what());
    return 1;
  }
}
