// RecordedFeatures: what an edge would send, and what the cloud must answer to it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "data/dataset.h"
#include "infer/model.h"

namespace branchy {

struct RecordedFeatures {
  std::string model;                      ///< name in the protocol's paths
  std::string cut;                        ///< block behind which the features are
  std::int64_t exit = 0;                  ///< that answers: the final one
  Tensor features = {};                   ///< [N,C,H,W]
  Tensor logits = {};                     ///< [N,classes] of that exit, computed one by one
  std::vector<std::int64_t> labels = {};  ///< of the data set, [N]

  [[nodiscard]] std::int64_t size() const { return features.dim(0); }
};

/// The first `count` images (at most all) through the two sides of one export, in this process.
/// Throws ConfigError when the files are no two sides of one network.
[[nodiscard]] RecordedFeatures record_features(const ServedModel& edge, const ServedModel& cloud,
                                               const Dataset& images, std::int64_t count);

/// A safetensors file with `features`, `logits` and `labels`; metadata name model, cut and exit.
void save_features(const std::filesystem::path& path, const RecordedFeatures& recorded);
/// Throws IoError, and DataError for a file that is none of save_features.
[[nodiscard]] RecordedFeatures load_features(const std::filesystem::path& path);

}  // namespace branchy
