// FrozenParts: what of a network stays as it is while the rest is trained.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace branchy {

class MultiExitNetwork;

/// 1. The parameters and running statistics of frozen parts keep their bytes.
/// 2. Frozen parts run in evaluation mode also while the rest trains: batch norm uses its running
///    statistics, dropout is the identity.
/// 3. Frozen trunk blocks are the first ones, so nothing behind them changes what they compute.
struct FrozenParts {
  std::int64_t blocks = 0;  ///< trunk blocks from the first
  bool exits = false;       ///< the early exits
  bool classifier = false;  ///< the final exit

  friend bool operator==(const FrozenParts&, const FrozenParts&) = default;
};

/// Reads a list of "backbone" (all trunk blocks), "until:BLOCK" (those up to and including that
/// one), "exits" (the early ones) and "classifier" (the final exit). Throws ConfigError for another
/// word, for a block that the network does not have (naming those with names near it), and when
/// nothing is left to train.
[[nodiscard]] FrozenParts parse_frozen_parts(const MultiExitNetwork& network,
                                             const std::vector<std::string>& parts);

}  // namespace branchy
