#include "train/predictor_eval_command.h"

#include <CLI/CLI.hpp>

namespace branchy {

void add_predictor_eval_command(CLI::App& predictor) { predictor.add_subcommand("eval", ""); }

}  // namespace branchy
