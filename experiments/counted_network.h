// CountedNetwork: what a network's description says of operations and shapes, without its weights.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "layers/network.h"

namespace branchy {

/// Counts of one network for one image. Exits count from index 0 here.
struct CountedNetwork {
  Shape input;
  Cost backbone;                               ///< trunk and final exit
  std::vector<Cost> trunk = {}, exits = {};    ///< O_l and O_e of Dong et al., by exit
  std::vector<Cost> through = {};              ///< the trunk up to and with each block
  std::vector<Shape> features = {};            ///< after each block
  std::vector<std::int64_t> after = {};        ///< trunk blocks before each exit
  std::vector<std::vector<Shape>> steps = {};  ///< by exit: outputs of its convolutions or blocks

  [[nodiscard]] const Shape& feature_before(std::size_t block) const {
    return block == 0 ? input : features.at(block - 1);
  }
};

/// Builds networks to count them and keeps the counts.
class CountedNetworks {
 public:
  const CountedNetwork& get(const NetworkConfig& config);

 private:
  std::map<std::string, CountedNetwork> known_;
};

}  // namespace branchy
