#include "train/predictor_command.h"

#include <CLI/CLI.hpp>

#include "train/predictor_eval_command.h"
#include "train/predictor_train_command.h"

namespace branchy {

void add_predictor_command(CLI::App& app) {
  CLI::App* predictor = app.add_subcommand(
      "predictor",
      "Exit Predictor: a small network that says which early exits are worth computing");
  predictor->require_subcommand(1);
  add_predictor_train_command(*predictor);
  add_predictor_eval_command(*predictor);
}

}  // namespace branchy
