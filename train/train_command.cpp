#include "train/train_command.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "train/run_flags.h"

namespace branchy {

void add_train_command(CLI::App& app) {
  CLI::App* train = app.add_subcommand("train", "Train a multi-exit network");
  const auto flags = std::make_shared<RunFlags>();
  add_run_flags(*train, *flags);
  train->callback([train, flags] { run_training(*train, *flags); });
}

}  // namespace branchy
