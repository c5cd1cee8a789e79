// NetworkParts: what a network describes of itself; `assemble` adds exits where they are wanted.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "layers/models/filter_counts.h"
#include "layers/network.h"
#include "layers/network_options.h"

namespace branchy {

/// Makes an exit on a feature [1,C,H,W].
using ExitMaker = std::function<LayerPtr(const Shape& feature, Rng&)>;

/// An early exit that the paper of a network describes.
struct PaperExit {
  std::int64_t after_block;  ///< reads the output of this many trunk blocks
  ExitMaker make;
};

struct NetworkParts {
  FilterCounts& filters;  ///< which the blocks asked, and the exits will
  Shape input;            ///< [1,C,H,W]
  std::vector<MultiExitNetwork::Block> blocks;
  std::int64_t first_number = 0;  ///< what `exit-after` calls the first block
  /// The exits of the paper for a number of early exits, at least 1; throws ConfigError for a
  /// number that it does not have. Empty: none, exits are placed by rule.
  std::function<std::vector<PaperExit>(std::int64_t)> paper_exits = {};
  std::string default_exit = "light";  ///< kind of exits away from the paper's places
  ExitMaker final_exit;
  std::string final_prefix = {};  ///< of the final exit's state, "" or ending in '.'
  /// `pthflops` of the final exit that placement assumes; empty: those of `final_exit`.
  std::optional<std::int64_t> final_count = {};
};

/// Builds the network with the early exits that the configuration asks for:
///   exit        paper (where the paper has them), light, bnpool, flatten: see exit_head.h
///   exit-after  places by hand: numbers or names of blocks, rising, separated by commas; their
///               count is that of the early exits
///   filters     fewer filters of some convolutions, see filter_counts.h
///   placement   flops, pareto, fibonacci, every-block: places by rule, see exit_placement.h
/// The early exits draw from `rng` in order, then the final one. Every option must have been read.
/// Throws ConfigError for exits that the network cannot have.
[[nodiscard]] std::unique_ptr<MultiExitNetwork> assemble(NetworkConfig config,
                                                         OptionReader& options, NetworkParts parts,
                                                         Rng& rng);

/// Throws ConfigError unless the configuration has no early exits: for networks that are no
/// classifiers with a depth to leave.
void require_no_exits(const NetworkConfig& config);

}  // namespace branchy
