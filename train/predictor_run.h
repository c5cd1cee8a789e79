// PredictorRun: one kind of exit predictor trained for one network, for any thresholds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/model_file.h"
#include "train/predictor_data.h"
#include "train/predictor_record.h"
#include "train/predictor_samples.h"
#include "train/predictor_training.h"

namespace branchy {

struct PredictorRunOptions {
  std::string kind = "ours";  ///< see exit_predictor_kinds()
  std::string reads_after;    ///< kind feature: name of a trunk block; "": that of exit 1
  RecipeOptions recipe = predictor_recipe(0);  ///< 0 epochs: as many as show kViewsToSee views
  LabelSource labels = LabelSource::kTrain;
  std::uint64_t seed = 1;         ///< of weights and order
  std::int64_t memory_limit = 0;  ///< bytes; see PredictorSamples
};

/// Views that a run of 0 epochs shows, in whole epochs: minutes, not the paper's 220 epochs.
inline constexpr std::int64_t kViewsToSee = 200'000;

/// Throws ConfigError as predictor_config() does, and for an unknown block: before any work.
void require_predictor_fits(const MultiExitNetwork& network, const PredictorRunOptions& options);

struct TrainedPredictor {
  std::shared_ptr<MultiExitNetwork> network;
  PredictorRecord record;
  PredictorLosses losses;
  std::vector<double> shares_of_ones;  ///< of the labels, by exit
};

/// `share` of what is being done, 0..1, and a line on it; false ends it.
using PredictorRunProgress = std::function<bool(double share, std::string_view text)>;

/// What does not depend on thresholds is computed once.
class PredictorRun {
 public:
  /// `model` and `data` outlive it. Throws what require_predictor_fits() does.
  PredictorRun(const LoadedModel& model, const PredictorData& data, PredictorRunOptions options);

  /// How it trains, for people and to tell whether a predictor is of this run: images, epochs, ...
  [[nodiscard]] std::string description() const;
  /// Nothing when `go_on` says false. `thresholds`: one for each early exit.
  [[nodiscard]] std::optional<TrainedPredictor> train(const std::vector<float>& thresholds,
                                                      const PredictorRunProgress& go_on);

 private:
  const LoadedModel& model_;
  const PredictorData& data_;
  PredictorRunOptions options_;
  NetworkConfig config_;
  std::int64_t reads_after_ = 0;
  std::unique_ptr<PredictorSamples> samples_;
  std::string digest_;
};

}  // namespace branchy
