// MultiExitNetwork: a trunk of blocks with exits (classifiers) along its depth.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "layers/freezing.h"
#include "layers/layer.h"

namespace branchy {

/// As many early exits as the network has by default (`NetworkConfig::early_exits`).
inline constexpr std::int64_t kDefaultExits = -1;

/// What identifies a network; written into every model file and enough to build it again.
struct NetworkConfig {
  std::string name = "resnet44";
  std::int64_t classes = 10;
  std::int64_t early_exits = 2;  ///< exits before the final one; 0 gives the plain backbone
  /// Settings of this network in text form, by key ("width" -> "0.5"); its header lists them.
  std::map<std::string, std::string> options = {};

  friend bool operator==(const NetworkConfig&, const NetworkConfig&) = default;
};

/// Blocks [first_block, end_block) of the trunk and exits [first_exit, last_exit] (numbered from
/// 1): what one side of a split holds.
struct NetworkPart {
  std::int64_t first_block = 0, end_block = 0;
  std::int64_t first_exit = 1, last_exit = 0;

  friend bool operator==(const NetworkPart&, const NetworkPart&) = default;
};

/// A convolution whose number of filters is an option of the network (FilterCounts).
struct FilterCount {
  std::string conv;                 ///< name of its state: "layer1.0.conv1"
  std::int64_t count = 0, all = 0;  ///< filters here and in the network as published
};

/// Trunk blocks are the places where the network can be cut. Exits are numbered from 1; the last
/// is the final classifier behind the whole trunk.
class MultiExitNetwork {
 public:
  struct Block {
    std::string name;          ///< "stem", "layer1.0": what --cut-after takes
    std::string state_prefix;  ///< "" or ending in '.'
    LayerPtr layer;
  };
  struct Exit {
    std::string name;  ///< "exits.1", "final"
    std::string state_prefix;
    std::int64_t after_block;  ///< reads the output of this many trunk blocks
    LayerPtr layer;
  };

  /// `input` is [1,C,H,W]. Exits are ordered by depth; the last one follows the last block.
  MultiExitNetwork(NetworkConfig config, Shape input, std::vector<Block> blocks,
                   std::vector<Exit> exits, std::vector<FilterCount> filters = {});

  [[nodiscard]] const NetworkConfig& config() const { return config_; }
  [[nodiscard]] const Shape& input_shape() const { return input_; }
  [[nodiscard]] const std::vector<Block>& blocks() const { return blocks_; }
  [[nodiscard]] const std::vector<Exit>& exits() const { return exits_; }
  /// Of every convolution that may have fewer, in the order in which they were made.
  [[nodiscard]] const std::vector<FilterCount>& filters() const { return filters_; }
  [[nodiscard]] std::int64_t num_exits() const { return static_cast<std::int64_t>(exits_.size()); }
  [[nodiscard]] const Exit& exit(std::int64_t number) const;

  /// Logits [N, classes] of every exit, in order.
  std::vector<Variable> forward(const Variable& images, const Pass& pass);

  /// From now on these parts stay as they are (see FrozenParts), the others do not.
  void freeze(const FrozenParts& parts);
  [[nodiscard]] const FrozenParts& frozen() const { return frozen_; }
  /// What the network reads behind its frozen trunk, as numbers of trunk blocks, rising: the depths
  /// of exits that hang on it and its end, where blocks follow. {0} (the images) without one.
  [[nodiscard]] std::vector<std::int64_t> feature_depths() const;
  /// Logits of every exit from the values at `feature_depths()`.
  std::vector<Variable> forward_features(const std::vector<Variable>& features, const Pass& pass);

  [[nodiscard]] NetworkPart whole() const;
  /// Shape after `num_blocks` trunk blocks for batch size 1.
  [[nodiscard]] Shape feature_shape(std::int64_t num_blocks) const;
  /// Number of trunk blocks up to and including the block of this name; throws ConfigError
  /// listing the names when there is none.
  [[nodiscard]] std::int64_t blocks_through(const std::string& block_name) const;
  /// Parameters and buffers, in a fixed order with full names.
  [[nodiscard]] std::vector<StateEntry> state();
  [[nodiscard]] std::vector<StateEntry> state(const NetworkPart& part);
  /// The same without what is frozen.
  [[nodiscard]] std::vector<StateEntry> trained_state(const NetworkPart& part);

  /// Profile of the trunk between exit number-1 and exit `number` (O_l of Dong et al.).
  [[nodiscard]] std::vector<CostRow> profile_trunk(std::int64_t number) const;
  /// Profile of exit `number` (O_e of Dong et al.).
  [[nodiscard]] std::vector<CostRow> profile_exit(std::int64_t number) const;

 private:
  [[nodiscard]] bool is_frozen(const Exit& exit) const;

  NetworkConfig config_;
  Shape input_;
  std::vector<Block> blocks_;
  std::vector<Exit> exits_;
  std::vector<FilterCount> filters_;
  FrozenParts frozen_;
};

/// Copies every parameter and buffer; both networks have the same configuration.
void copy_state(MultiExitNetwork& from, MultiExitNetwork& to);

}  // namespace branchy
