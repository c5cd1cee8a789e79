// Finds where a network first left the finite numbers.
#pragma once

#include <string>
#include <vector>

#include "layers/network.h"

namespace branchy {

/// The first of: a parameter, the features (see MultiExitNetwork::forward_features()), the output
/// of a trained block or of an exit (in training mode) that holds NaN or infinity, in words; "the
/// loss itself" when none does.
[[nodiscard]] std::string first_non_finite(MultiExitNetwork& network,
                                           const std::vector<Variable>& features);

}  // namespace branchy
