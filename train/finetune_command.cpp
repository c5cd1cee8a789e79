#include "train/finetune_command.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "train/run_flags.h"

namespace branchy {

void add_finetune_command(CLI::App& app) {
  CLI::App* finetune = app.add_subcommand(
      "finetune", "Train on from published or own weights: new heads, new exits, frozen parts");
  const auto flags = std::make_shared<RunFlags>();
  add_run_flags(*finetune, *flags);
  finetune->callback([finetune, flags] { run_training(*finetune, *flags); });
}

}  // namespace branchy
