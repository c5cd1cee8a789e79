// ServerPart: a network behind a cut, as a graph that trains.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layers/network.h"

namespace branchy {

/// Number of trunk blocks before a cut: after early exit `exit` (0: the last one), or after the
/// block `block` if that is not empty. `verb` starts the message of the ConfigError for a place
/// that the network does not have or that leaves nothing behind it.
[[nodiscard]] std::int64_t blocks_before_cut(const MultiExitNetwork& network, std::int64_t exit,
                                             const std::string& block, const std::string& verb);

/// What lies before the cut: blocks [0, blocks) and the early exits on them.
[[nodiscard]] NetworkPart part_before_cut(const MultiExitNetwork& network, std::int64_t blocks);
/// What lies behind it.
[[nodiscard]] NetworkPart part_behind_cut(const MultiExitNetwork& network, std::int64_t blocks);

/// Parameters before the cut take no gradient from now on, those behind it do.
void train_behind_cut(MultiExitNetwork& network, std::int64_t blocks);

/// Logits of the exits behind the cut, in order, from the feature [N,C,H,W] at the cut.
[[nodiscard]] std::vector<Variable> forward_behind_cut(MultiExitNetwork& network,
                                                       std::int64_t blocks, const Variable& feature,
                                                       const Pass& pass);

}  // namespace branchy
