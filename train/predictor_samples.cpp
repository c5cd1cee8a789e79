#include "train/predictor_samples.h"

#include <algorithm>
#include <utility>

#include "layers/models/registry.h"
#include "train/validation.h"

namespace branchy {

PredictorSamples::PredictorSamples(const MultiExitNetwork& network, const NetworkConfig& predictor,
                                   std::int64_t reads_after, std::shared_ptr<const Dataset> views,
                                   std::vector<std::int64_t> rows, PredictorSampleOptions options)
    : input_(network, reads_after),
      images_(std::make_shared<Subset>(std::move(views), rows)),
      rows_(std::move(rows)),
      options_(options) {
  Rng unused(0);  // pooling has no weights
  const auto plain = make_network(predictor, unused);
  const bool pools = plain->blocks().front().name == "pool";
  if (pools) pool_.emplace(Plan::lower(*plain, {.end_block = 1}));
  shape_ = plain->feature_shape(pools ? 1 : 0);
  stores_ = reads_after > 0 &&
            FeatureStore::bytes_of(std::ssize(rows_), shape_.size()) <= options_.memory_limit;
  loader_ = std::make_unique<Loader>(images_,
                                     LoaderOptions{.batch = options_.batch,
                                                   .seed = options_.seed,
                                                   .shuffle = true,
                                                   .drop_last = images_->size() >= options_.batch,
                                                   .labels_only = stores_,
                                                   .normalization = options_.normalization});
}

Tensor PredictorSamples::compute(const Tensor& images) {
  Tensor value = input_.of(images);
  if (!pool_) return value;
  pool_->start(value);
  return pool_->feature();
}

bool PredictorSamples::prepare(const std::function<bool(double share)>& go_on) {
  if (!stores_ || store_) return true;
  auto store = std::make_unique<FeatureStore>(std::ssize(rows_), shape_.size(),
                                              options_.memory_limit, std::filesystem::path());
  Loader loader(images_, {.batch = evaluation_batch(images_->image_shape()),
                          .normalization = options_.normalization});
  loader.start_epoch(0);
  const auto size = static_cast<std::size_t>(shape_.size());
  while (const auto batch = loader.next()) {
    const Tensor values = compute(batch->images);
    auto from = values.data();
    for (const std::int64_t position : batch->indices) {
      std::copy_n(from.begin(), size, store->row(position).begin());
      from = from.subspan(size);
    }
    const auto done = static_cast<double>(batch->indices.back() + 1);
    if (!go_on(done / static_cast<double>(images_->size()))) return false;
  }
  store_ = std::move(store);
  return true;
}

void PredictorSamples::start_epoch(std::int64_t epoch) {
  prepare([](double) { return true; });
  loader_->start_epoch(epoch);
}

std::optional<PredictorBatch> PredictorSamples::next() {
  auto batch = loader_->next();
  if (!batch) return std::nullopt;
  PredictorBatch result{.input = stores_ ? stored(batch->indices) : compute(batch->images),
                        .rows = std::move(batch->indices)};
  for (std::int64_t& row : result.rows) row = rows_[static_cast<std::size_t>(row)];
  return result;
}

Tensor PredictorSamples::stored(const std::vector<std::int64_t>& positions) {
  Tensor values(shape_.with_batch(std::ssize(positions)));
  auto to = values.mutable_data().begin();
  for (const std::int64_t position : positions) {
    const auto row = store_->row(position);
    to = std::copy(row.begin(), row.end(), to);
  }
  return values;
}

}  // namespace branchy
