// The networks that the project knows, by name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "layers/network.h"

namespace branchy {

/// Builds a freshly initialised network. Its `config()` says how many early exits it has, where
/// `config` leaves that to the network (kDefaultExits) or its options give the places. Throws
/// ConfigError (listing the known ones) for an unknown name, or for a configuration that the
/// network does not have.
[[nodiscard]] std::unique_ptr<MultiExitNetwork> make_network(const NetworkConfig& config, Rng& rng);
[[nodiscard]] std::vector<std::string> network_names();

}  // namespace branchy
