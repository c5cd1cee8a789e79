// Loader: background threads that turn a data set into batches ahead of the consumer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/tensor.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace branchy {

struct Batch {
  Tensor images;                      ///< [N,3,H,W], normalised; undefined with labels_only
  std::vector<std::int64_t> labels;   ///< N
  std::vector<std::int64_t> indices;  ///< N, positions in the data set
};

struct LoaderOptions {
  std::int64_t batch = 128;
  std::int64_t threads = 1;
  std::uint64_t seed = 0;
  bool shuffle = false;
  Augmentation augmentation = Augmentation::kNone;
  bool drop_last = false;     ///< leave out a last batch that is not full
  bool labels_only = false;   ///< read no images: for one who has computed on them already
  std::int64_t prefetch = 4;  ///< batches made or being made ahead of the consumer
  Normalization normalization = {};
};

/// 1. The order of epoch e is the permutation of Rng({seed, e}) (without shuffle: 0, 1, 2, ...);
///    image i is augmented by Rng({seed, e, i}). Batches are therefore the same at any number of
///    threads, and an epoch can be entered at any batch.
/// 2. At most `prefetch` batches wait or are in the making.
/// 3. One consumer: the methods are not synchronised with each other.
class Loader {
 public:
  /// Throws ConfigError for options below 1, more than 256 threads, an empty data set, or images
  /// that are not [3,H,W].
  Loader(std::shared_ptr<const Dataset> dataset, LoaderOptions options);
  /// Stops the threads; safe at any moment.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Begins epoch `epoch` (>= 0) at batch `first_batch`; what is left of an earlier one is dropped.
  /// Throws ConfigError unless 0 <= first_batch <= batches_per_epoch().
  void start_epoch(std::int64_t epoch, std::int64_t first_batch = 0);
  /// The next batch, or nothing at the end of the epoch (and before the first start_epoch()). What
  /// a data set threw in a thread is thrown here, after the batches before it; the epoch then ends.
  [[nodiscard]] std::optional<Batch> next();

  [[nodiscard]] std::int64_t batches_per_epoch() const;
  /// Total time that next() has waited for a batch, in seconds.
  [[nodiscard]] double wait_seconds() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
