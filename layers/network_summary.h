// What is printed of a network: its costs as a whole and its shapes.
#pragma once

#include <string>

#include "layers/network.h"

namespace branchy {

/// Trunk and final exit: the network without its early exits.
[[nodiscard]] Cost backbone_cost(const MultiExitNetwork& network);

/// Trunk and every exit.
[[nodiscard]] Cost whole_cost(const MultiExitNetwork& network);

/// "64x8x8" of [1,64,8,8].
[[nodiscard]] std::string shape_text(const Shape& shape);

}  // namespace branchy
