// Finds where a network first left the finite numbers.
#pragma once

#include <string>

#include "layers/network.h"

namespace branchy {

/// The first of: a parameter, the images, the output of a block or exit (in training mode) that
/// holds NaN or infinity, in words; "the loss itself" when none does.
[[nodiscard]] std::string first_non_finite(MultiExitNetwork& network, const Tensor& images);

}  // namespace branchy
