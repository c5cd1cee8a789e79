// Takes a layer's state away from its special starting values.
#pragma once

#include <cstdint>
#include <vector>

#include "layers/layer.h"
#include "tests/support/reference_ops.h"

namespace branchy::test {

/// Adds reproducible values in -0.3 .. 0.3: parameters and statistics that start as 0 and 1 would
/// hide a swapped or forgotten one.
inline void randomize(const std::vector<StateEntry>& state) {
  std::uint64_t seed = 100;
  for (const StateEntry& entry : state) {
    const Tensor noise = random_tensor(entry.variable->shape(), ++seed);
    const auto values = entry.variable->mutable_value().mutable_data();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += 0.3F * noise.data()[i];
  }
}

}  // namespace branchy::test
