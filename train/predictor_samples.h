// PredictorSamples: batches of what an exit predictor reads in training.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "data/loader.h"
#include "layers/network.h"
#include "train/feature_store.h"
#include "train/predictor_input.h"

namespace branchy {

struct PredictorBatch {
  Tensor input;                    ///< [N,...], what the predictor reads behind `blocks_done()`
  std::vector<std::int64_t> rows;  ///< N, positions among all views
};

struct PredictorSampleOptions {
  std::int64_t batch = 128;
  std::uint64_t seed = 0;  ///< of the order
  Normalization normalization = {};
  std::int64_t memory_limit = 0;  ///< bytes
};

/// Images are read anew for every batch. What a predictor of kind `feature` reads is pooled first,
/// which needs no training: the pooled values are computed once when they fit into the memory limit
/// (16 KiB each for ResNet44, a quarter of the feature), else for every batch.
class PredictorSamples {
 public:
  /// `rows`: the positions of `views` to train on. `reads_after` as in PredictorInput.
  PredictorSamples(const MultiExitNetwork& network, const NetworkConfig& predictor,
                   std::int64_t reads_after, std::shared_ptr<const Dataset> views,
                   std::vector<std::int64_t> rows, PredictorSampleOptions options);

  /// Computes what is to be computed once; `go_on` as in FeatureLoader::prepare().
  bool prepare(const std::function<bool(double share)>& go_on);
  void start_epoch(std::int64_t epoch);
  [[nodiscard]] std::optional<PredictorBatch> next();
  [[nodiscard]] std::int64_t batches_per_epoch() const { return loader_->batches_per_epoch(); }
  /// Leading blocks of the predictor that `input` has passed already.
  [[nodiscard]] std::int64_t blocks_done() const { return pool_ ? 1 : 0; }

 private:
  [[nodiscard]] Tensor compute(const Tensor& images);
  [[nodiscard]] Tensor stored(const std::vector<std::int64_t>& positions);

  PredictorInput input_;
  std::optional<ExitRunner> pool_;
  Shape shape_;  // of `input` for one image
  std::shared_ptr<const Dataset> images_;
  std::vector<std::int64_t> rows_;
  PredictorSampleOptions options_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<FeatureStore> store_;
  bool stores_ = false;
};

}  // namespace branchy
