// ConfidenceCache: how sure the early exits of a frozen network are of augmented views, computed
// once and kept in a file, so that any exit predictor trains from it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "data/augmented_views.h"
#include "layers/model_file.h"

namespace branchy {

/// What the confidences are a function of.
struct ConfidenceOrigin {
  std::string model_digest;         ///< see train/logits_cache.h
  std::vector<float> temperatures;  ///< of the early exits
  std::string data_checksum;        ///< of the images' bytes
  std::string part;                 ///< "train" or "val" with what decides which images that are
  std::int64_t images = 0;
  ViewOptions views = {};
};

struct ConfidenceCache {
  ConfidenceOrigin origin;
  /// [views * images, early exits]: the largest softmax probability after the exit's temperature;
  /// rows as in AugmentedViews.
  Tensor confidences;
};

/// Runs the trunk up to the last early exit and the early exits on the lowered plan, in evaluation
/// mode. `go_on` gets the share done, 0..1, after every batch; when it says false, nothing is
/// given.
[[nodiscard]] std::optional<Tensor> compute_confidences(
    const LoadedModel& model, const std::shared_ptr<const Dataset>& views,
    const std::function<bool(double share)>& go_on);

/// A safetensors file with `confidences` and the origin.
void save_confidences(const std::filesystem::path& path, const ConfidenceCache& cache);
/// Throws DataError for a file that is no such cache or breaks its form, and for one of another
/// origin than `expected`: it names what differs.
[[nodiscard]] ConfidenceCache load_confidences(const std::filesystem::path& path,
                                               const ConfidenceOrigin& expected);

}  // namespace branchy
