// FeatureLoader: batches of what the trained part of a network reads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/variable.h"
#include "data/loader.h"
#include "train/feature_store.h"
#include "train/frozen_trunk.h"

namespace branchy {

struct FeatureBatch {
  std::vector<Variable> features;    ///< as MultiExitNetwork::forward_features takes them
  std::vector<std::int64_t> labels;  ///< N
};

/// Where the values of a frozen trunk are kept.
struct FeatureCache {
  bool enabled = true;
  std::int64_t memory_limit = 0;      ///< bytes; more go to a file
  std::filesystem::path folder = {};  ///< of that file
};

/// Without a frozen trunk the features are the images. With one they are its values: computed for
/// each batch where images are augmented, else once for each image, in the order of the data set,
/// so that a run and its continuation see the same bits.
class FeatureLoader {
 public:
  /// `trunk` is null without one; it is shared by the loaders of one thread.
  FeatureLoader(std::shared_ptr<const Dataset> dataset, LoaderOptions options,
                std::shared_ptr<FrozenTrunk> trunk = nullptr, FeatureCache cache = {});

  /// Computes what is to be computed once; does nothing when that is done or nothing is. `go_on`
  /// gets the share done, 0..1, after every batch; when it says false, prepare() gives up, keeps
  /// nothing and gives false.
  bool prepare(const std::function<bool(double share)>& go_on);
  /// Bytes of memory that the store takes, or will; 0 when there is none, or it is a file.
  [[nodiscard]] std::int64_t memory_bytes() const;
  /// The store of the values, null where there is none.
  [[nodiscard]] const FeatureStore* store() const { return store_.get(); }

  /// As Loader's; start_epoch() prepares.
  void start_epoch(std::int64_t epoch, std::int64_t first_batch = 0);
  [[nodiscard]] std::optional<FeatureBatch> next();
  [[nodiscard]] std::int64_t batches_per_epoch() const;
  [[nodiscard]] double wait_seconds() const { return loader_->wait_seconds(); }

 private:
  [[nodiscard]] std::int64_t row_size() const;  // values for one image
  [[nodiscard]] std::vector<Tensor> stored(std::span<const std::int64_t> indices);

  std::shared_ptr<const Dataset> dataset_;
  LoaderOptions options_;
  std::shared_ptr<FrozenTrunk> trunk_;
  FeatureCache cache_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<FeatureStore> store_;
};

}  // namespace branchy
