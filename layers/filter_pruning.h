// Filter pruning: a physically smaller network without the weakest filters of the on-device part.
#pragma once

#include <cstdint>
#include <memory>

#include "layers/network.h"

namespace branchy {

/// The baseline of Dong et al. 2022 (section V): in each convolution of the on-device part (trunk
/// up to the last early exit, early exits included) the share `ratio` of the filters with the
/// lowest l2 norm is removed, layer by layer; linear layers keep their outputs. What reads a
/// removed filter loses the matching input channels, the server's first layer too.
///
/// 1. Of n filters round(ratio n) are removed (halves up), and at least one stays.
/// 2. Only convolutions of MultiExitNetwork::filters() are pruned, so that sums keep their width:
/// of
///    a residual block the first one, of an inverted residual the hidden channels.
/// 3. The result is a network of the same name whose configuration says the filters left (option
///    `filters`); exits that a rule placed are pinned (`exit-after`), as rules count operations.
/// 4. A ratio that removes nothing gives the same network, bit for bit.
///
/// Throws ConfigError for a ratio outside 0 <= r < 1 (NaN too) or a network without early exits,
/// NumericError for weights that are not finite. `network` is not changed.
[[nodiscard]] std::unique_ptr<MultiExitNetwork> prune_filters(MultiExitNetwork& network,
                                                              double ratio);

}  // namespace branchy
