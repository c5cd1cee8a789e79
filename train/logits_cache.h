// LogitsCache: what every exit says of every sample of a data set, computed once and kept in a
// file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "infer/exit_costs.h"
#include "layers/model_file.h"

namespace branchy {

/// 1. `logits` are raw: temperatures are applied by whoever reads them.
/// 2. Row i of every tensor is the sample `indices[i]` of the data set's part.
/// 3. `model_digest` covers configuration, weights, normalisation and what is computed in 8 bits,
///    not temperatures, other records or attachments: calibrating a model or attaching a predictor
///    keeps its caches valid.
struct LogitsCache {
  std::vector<Tensor> logits;  ///< [exit - 1]: [N, classes]
  std::vector<std::int64_t> labels, indices;
  Tensor scores;  ///< [N, early exits] of the Exit Predictor, 0..1; undefined without one
  ExitCosts costs;
  std::string network;           ///< its name
  std::string model_digest;      ///< see above
  std::string predictor_digest;  ///< of the predictor that gave `scores`; "" without
  std::string
      codec_digest;        ///< of the codec through which the exits behind its cut got the feature
  double coded_bytes = 0;  ///< mean over all samples of what that codec sends; 0 without
  std::vector<float> temperatures;       ///< of the model when the cache was made; may be empty
  std::vector<std::string> class_names;  ///< may be empty
  std::string data, data_checksum;       ///< as given, and of its bytes
  std::string part;                      ///< test, val, train or all

  [[nodiscard]] std::int64_t num_samples() const {
    return static_cast<std::int64_t>(labels.size());
  }
  [[nodiscard]] std::int64_t num_exits() const { return static_cast<std::int64_t>(logits.size()); }
  [[nodiscard]] std::int64_t num_classes() const { return logits.front().dim(1); }
};

/// SHA-256 of a network's configuration and state, and of a model with its normalisation.
[[nodiscard]] std::string network_digest(MultiExitNetwork& network);
[[nodiscard]] std::string model_digest(const LoadedModel& model);

/// A safetensors file: `logits.K`, `labels`, `indices`, `scores`; see core/CHECKPOINT.md.
void save_logits(const std::filesystem::path& path, const LogitsCache& cache);
/// Throws DataError for a file that is no logits cache, or whose tensors contradict each other,
/// hold NaN or labels outside the classes.
[[nodiscard]] LogitsCache load_logits(const std::filesystem::path& path);

/// Throws DataError when the cache is of another model: says both digests and to run infer-all.
void require_same_model(const LogitsCache& cache, const std::filesystem::path& cache_path,
                        const LoadedModel& model);

}  // namespace branchy
