// RunFlags: the command line of the verbs that train: `branchy train` and `branchy finetune`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "train/train_options.h"

namespace CLI {
class App;
}

namespace branchy {

/// The flags as given. `options.hyper` holds what flags say about the recipe's values; what was
/// not given comes from the recipe when the run is resolved.
struct RunFlags {
  TrainOptions options;
  std::string resume;
  std::int64_t profile = 0;                  ///< steps to profile; no part of the run itself
  std::vector<std::string> network_options;  ///< KEY=VALUE
  std::string exit_after;
  /// Copies one value of a recipe if its flag was given.
  std::vector<std::function<void(RecipeOptions& given, RecipeOptions& to)>> keep_given;
};

/// Adds every flag of `verb`, "train" or "finetune" by its name. `flags` outlives it.
void add_run_flags(CLI::App& verb, RunFlags& flags);

/// Trains or goes on as the flags of the parsed `verb` say. Throws CLI::RuntimeError with
/// kInterruptedExitCode when interrupted.
void run_training(const CLI::App& verb, RunFlags& flags);

}  // namespace branchy
