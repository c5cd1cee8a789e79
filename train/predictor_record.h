// PredictorRecord: what a model file says of the exit predictor in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layers/model_file.h"
#include "train/predictor_data.h"

namespace branchy {

/// In the records `predictor.*` of the model file; see core/CHECKPOINT.md. A predictor serves the
/// network, temperatures and thresholds that it was trained for and no others.
struct PredictorRecord {
  std::string kind;
  LabelSource labels = LabelSource::kTrain;
  std::vector<float> thresholds;    ///< lambda of each early exit
  std::vector<float> temperatures;  ///< of the early exits
  std::int64_t reads_after = 0;     ///< trunk blocks; 0: reads the image
  SelectionImages selection;        ///< those that may choose gamma
  std::string training;             ///< for people: images, views, epochs, seed
  std::string device_digest;        ///< of the part before the cut, see infer/device_digest.h
  std::vector<float> gamma;         ///< of each early exit; empty until chosen
  std::string selected_on;          ///< "val" or "test"; empty until gamma is chosen
};

/// The temperatures of the early exits.
[[nodiscard]] std::vector<float> early_temperatures(const LoadedModel& model);

/// Attaches `predictor` in place of another; its records replace those of the other.
void attach_predictor(LoadedModel& model, std::shared_ptr<MultiExitNetwork> predictor,
                      const PredictorRecord& record);
/// Writes the records alone.
void put_record(ModelInfo& info, const PredictorRecord& record);

/// Throws ConfigError for a model without a predictor; DataError for records that are missing or
/// contradict the network, and when the network or its temperatures are not those that the
/// predictor was trained for (it names `path` and what to do).
[[nodiscard]] PredictorRecord read_predictor_record(const LoadedModel& model,
                                                    const std::string& path);

}  // namespace branchy
