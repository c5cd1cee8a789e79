// The weights that a run starts from.
#pragma once

#include <string>
#include <vector>

#include "layers/network.h"
#include "train/train_options.h"

namespace branchy {

/// Fills in what the weights of `options.init` tell: the network where its name is empty (with its
/// options and exits, where none are given), options that only the weights decide, and the
/// normalisation. Throws ConfigError when they do not tell and nobody said; what reading throws.
void complete_from_weights(TrainOptions& options);

/// Fills `network` from the weights; gives what was done, in lines for people. Throws what
/// import_weights() does, ConfigError when an early exit of the file hangs elsewhere, and
/// NumericError when a weight is not finite.
[[nodiscard]] std::vector<std::string> load_initial_weights(const TrainOptions& options,
                                                            MultiExitNetwork& network);

}  // namespace branchy
