// PredictorData: the images that an exit predictor learns from, and those that choose its gamma.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "data/augmented_views.h"
#include "infer/model_images.h"
#include "layers/model_file.h"

namespace branchy {

/// Which images give the labels of eq. 9 (Dong et al.). On images that trained the network, as
/// published, it is surer than on new ones, and so the predictor will be; images that training held
/// out are few, but tell the truth.
enum class LabelSource { kTrain, kHeldOut };
/// "train" or "held-out"; throws ConfigError otherwise.
[[nodiscard]] LabelSource parse_label_source(std::string_view name);
[[nodiscard]] std::string_view label_source_name(LabelSource source);

/// The images of the model's validation part that choose gamma: all of it, or `count` drawn by
/// `seed` (data/split.h) when the others trained the predictor.
struct SelectionImages {
  std::int64_t count = 0;  ///< 0: all
  std::uint64_t seed = 0;

  /// "all" or "COUNT of seed SEED", as recorded; parse throws DataError for another text.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] static SelectionImages parse(const std::string& text);
  /// Their positions in the validation part, rising.
  [[nodiscard]] std::vector<std::int64_t> positions(std::int64_t validation_images) const;
};

struct PredictorDataRequest {
  ImageRequest images;  ///< `part` does not count
  LabelSource labels = LabelSource::kTrain;
  ViewOptions views = {};       ///< 0 views: see num_views()
  double select_share = 0.2;    ///< held-out: of the validation part, kept for choosing gamma
  std::filesystem::path cache;  ///< of confidences; "" keeps none
};

/// Of each image, when nothing else is asked for: as many as make about 80,000, 16 at most; 1 where
/// nothing is augmented. Few views shown often are learned by heart: on 4,000 held-out images of
/// CIFAR-10, kind feature, 4 views in 25 epochs gave a cross-entropy of 1.39 at exit 1 on test
/// images, 16 views in 3 epochs 0.48.
[[nodiscard]] std::int64_t num_views(std::int64_t images, Augmentation augmentation);

struct PredictorData {
  std::shared_ptr<const Dataset> views;  ///< AugmentedViews of a part of the model's data
  std::vector<std::int64_t> rows;        ///< the views to train on
  Tensor confidences;                    ///< [views, early exits], see ConfidenceCache
  SelectionImages selection;
  std::string description;  ///< for people
};

/// Opens the images and takes the confidences from the cache, or computes and keeps them. `go_on`
/// as in compute_confidences(); nothing when it says false. Throws ConfigError for a network
/// without early exits and a validation part too small to share, and what open_images() and
/// load_confidences() throw.
[[nodiscard]] std::optional<PredictorData> open_predictor_data(
    const LoadedModel& model, PredictorDataRequest request,
    const std::function<bool(double share)>& go_on);

}  // namespace branchy
