// Recipes: how a network is trained, as named sets of values that flags override one by one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "layers/network.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"

namespace branchy {

/// What a group of parameters has of its own.
struct GroupOptions {
  double rate = 0.0;           ///< base rate, which the schedule scales; 0: the recipe's `rate`
  double weight_decay = -1.0;  ///< below 0: the recipe's
};

/// The part of the options that a recipe sets.
struct RecipeOptions {
  std::int64_t epochs = 12;
  std::int64_t batch = 128;
  std::string optimizer = "sgd";  ///< sgd, adam or adamw
  std::string schedule = "one-cycle";
  double rate = 0.1;
  GroupOptions backbone, exits, classifier;  ///< trunk, early exits, final exit
  double end_rate = 0.0;
  double warmup_epochs = 0.0;
  double decay_epochs = 0.0;        ///< 0: all epochs
  std::vector<double> drop_epochs;  ///< step schedule
  double drop_factor = 0.1;
  bool rate_by_epoch = false;  ///< the rate changes between epochs alone
  double momentum = 0.9;       ///< of SGD, like `nesterov`
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< of Adam and AdamW
  double weight_decay = 5e-4;
  bool decay_norm_and_bias = true;  ///< weight decay on batch norm and biases too
  double label_smoothing = 0.0;
  double clip_norm = 0.0;
  double ema_decay = 0.0;             ///< moving average of weights, per step; 0 is off
  std::string augment = "crop-flip";  ///< "auto": imagenet for photographs, else crop-flip
  std::string weighting = "dong";     ///< of the exits' losses: see exit_loss_weights()
  double distill = 0.0;  ///< weight of self-distillation from the last exit: see exit_losses()
  double distill_temperature = 3.0;  ///< of both softmaxes of it
  std::int64_t patience = 0;  ///< epochs without a better validation loss; 0: never stop early
};

/// Training from scratch: "paper" (section 3.2 of the facts on Dong et al.) or "fast". Throws
/// ConfigError otherwise.
[[nodiscard]] RecipeOptions recipe(const std::string& name);
/// Fine-tuning: "pacheco" (Pacheco et al. 2021 and their code) or "fast". Throws ConfigError
/// otherwise.
[[nodiscard]] RecipeOptions finetune_recipe(const std::string& name);

/// The recipe squeezed or stretched to another number of epochs: warm-up, decay and drops keep
/// their place in the run. The half period of cosine-swing stays.
[[nodiscard]] RecipeOptions scaled_to_epochs(RecipeOptions recipe, std::int64_t epochs);

/// Loss weight of each exit:
///   dong     eq. 5 of Dong et al.: 0.2 0.3 0.5 for two early exits, 0.2 0.2 0.2 0.4 for three (the
///            printed numbers are one short; these sum to 1), else equal shares
///   pacheco  rising evenly from 0.15 to 1 (the code of Pacheco et al.)
///   ones     1 each
/// Throws ConfigError for another name.
[[nodiscard]] std::vector<double> exit_loss_weights(const std::string& weighting,
                                                    std::int64_t num_exits);
/// Those of "dong".
[[nodiscard]] std::vector<double> default_exit_weights(std::int64_t num_exits);

/// Throws ConfigError naming the flag out of range.
void validate(const RecipeOptions& recipe);

/// The optimiser of what `network` has not frozen, with the rate of each group relative to `rate`.
[[nodiscard]] std::unique_ptr<Optimizer> make_optimizer(const RecipeOptions& recipe,
                                                        MultiExitNetwork& network);
[[nodiscard]] ScheduleParams make_schedule(const RecipeOptions& recipe,
                                           std::int64_t steps_per_epoch);

}  // namespace branchy
