// What `branchy policy` reads: a logits cache, the model that it is of, temperatures.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "layers/model_file.h"
#include "train/cache_subset.h"
#include "train/logits_cache.h"

namespace branchy {

/// A cache, reduced to a subset of its samples.
struct PolicySamples {
  std::filesystem::path path;
  std::string digest;  ///< SHA-256 of the file
  CacheSubset subset;
  LogitsCache cache;
};

/// Throws what `load_logits` and `take_subset` do.
[[nodiscard]] PolicySamples open_policy_samples(const std::filesystem::path& path,
                                                const CacheSubset& subset);

/// Throws DataError unless `test` holds logits of the same model, scores of the same predictor and
/// the same kind of data and classes as `main`.
void require_comparable(const PolicySamples& main, const PolicySamples& test);

/// Throws DataError when the cache's scores are not of the model's predictor.
void require_same_predictor(const PolicySamples& samples, const LoadedModel& model);

/// Positive temperatures, one an exit, by `text`: "none" (all 1), "cache" (as the model had when
/// the cache was made), "model" (as `model` has now; needs one), or T1,T2,...; "" is "model" with a
/// model, else "cache". Throws ConfigError for another text or count.
[[nodiscard]] std::vector<float> resolve_temperatures(std::string_view text,
                                                      const LogitsCache& cache,
                                                      const LoadedModel* model);

}  // namespace branchy
