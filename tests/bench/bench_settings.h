// BenchSettings: what every benchmark is given.
#pragma once

#include <cstdint>

#include "core/machine_ceiling.h"

namespace branchy::bench {

struct BenchSettings {
  std::int64_t threads = 1;
  std::int64_t batch = 0;  ///< images; 0: as the network is trained
  MachineCeiling ceiling;  ///< on these threads

  [[nodiscard]] std::int64_t batch_or(std::int64_t own) const { return batch > 0 ? batch : own; }
};

// Each registers the benchmarks of one family; the settings outlive them.
void register_convolutions(const BenchSettings& settings);
void register_batch_norms(const BenchSettings& settings);
void register_poolings(const BenchSettings& settings);
void register_linear_layers(const BenchSettings& settings);
void register_optimizers(const BenchSettings& settings);
void register_network_steps(const BenchSettings& settings);

}  // namespace branchy::bench
