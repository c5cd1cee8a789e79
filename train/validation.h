// Validation during training: loss and accuracy of every exit with the training graph.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "layers/network.h"

namespace branchy {

class FeatureLoader;

struct ValidationResult {
  double loss = 0.0;             ///< weighted sum of the exits' mean cross-entropies
  std::vector<double> accuracy;  ///< of all samples at each exit, 0..1
};

/// Images at a time: 250 of 32x32, fewer of larger ones, so that activations stay small.
[[nodiscard]] std::int64_t evaluation_batch(const Shape& image);

/// Runs `network` in evaluation mode over all of `dataset`, without recording.
[[nodiscard]] ValidationResult validate_network(MultiExitNetwork& network,
                                                std::shared_ptr<const Dataset> dataset,
                                                const Normalization& normalization,
                                                std::span<const float> exit_weights);

/// The same over an epoch of `loader`, which gives what the network reads behind its frozen trunk.
[[nodiscard]] ValidationResult validate_network(MultiExitNetwork& network, FeatureLoader& loader,
                                                std::span<const float> exit_weights);

/// How many rows of logits [N,K] have their largest value (ties: lowest class) at the label.
[[nodiscard]] std::int64_t count_correct(const Tensor& logits,
                                         std::span<const std::int64_t> labels);

}  // namespace branchy
