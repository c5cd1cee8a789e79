#include "train/feature_loader.h"

#include <algorithm>
#include <utility>

#include "train/validation.h"

namespace branchy {

FeatureLoader::FeatureLoader(std::shared_ptr<const Dataset> dataset, LoaderOptions options,
                             std::shared_ptr<FrozenTrunk> trunk, FeatureCache cache)
    : dataset_(std::move(dataset)),
      options_(options),
      trunk_(std::move(trunk)),
      cache_(std::move(cache)) {
  options_.labels_only =
      trunk_ != nullptr && cache_.enabled && options_.augmentation == Augmentation::kNone;
  loader_ = std::make_unique<Loader>(dataset_, options_);
}

bool FeatureLoader::prepare(const std::function<bool(double share)>& go_on) {
  if (!options_.labels_only || store_ != nullptr) return true;
  auto store = std::make_unique<FeatureStore>(dataset_->size(), row_size(), cache_.memory_limit,
                                              cache_.folder);
  Loader images(dataset_, {.batch = evaluation_batch(dataset_->image_shape()),
                           .threads = options_.threads,
                           .normalization = options_.normalization});
  images.start_epoch(0);
  std::int64_t done = 0;
  while (const auto batch = images.next()) {
    const std::vector<Tensor> values = trunk_->compute(batch->images);
    std::size_t offset = 0;
    for (const Tensor& value : values) {
      const auto size = static_cast<std::size_t>(value.size() / value.dim(0));
      const auto from = value.data();
      for (std::size_t i = 0; i < batch->indices.size(); ++i)
        std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(i * size), size,
                    store->row(batch->indices[i]).begin() + static_cast<std::ptrdiff_t>(offset));
      offset += size;
    }
    done += std::ssize(batch->indices);
    if (!go_on(static_cast<double>(done) / static_cast<double>(dataset_->size()))) return false;
  }
  store_ = std::move(store);
  return true;
}

std::int64_t FeatureLoader::row_size() const {
  std::int64_t size = 0;
  for (const Shape& shape : trunk_->shapes()) size += shape.size();
  return size;
}

std::int64_t FeatureLoader::memory_bytes() const {
  if (!options_.labels_only) return 0;
  const std::int64_t bytes = FeatureStore::bytes_of(dataset_->size(), row_size());
  return bytes > cache_.memory_limit ? 0 : bytes;
}

void FeatureLoader::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  prepare([](double) { return true; });
  loader_->start_epoch(epoch, first_batch);
}

std::optional<FeatureBatch> FeatureLoader::next() {
  auto batch = loader_->next();
  if (!batch) return std::nullopt;
  FeatureBatch result{.features = {}, .labels = std::move(batch->labels)};
  if (trunk_ == nullptr) {
    result.features.emplace_back(std::move(batch->images));
    return result;
  }
  for (Tensor& value : store_ ? stored(batch->indices) : trunk_->compute(batch->images))
    result.features.emplace_back(std::move(value));
  return result;
}

std::vector<Tensor> FeatureLoader::stored(std::span<const std::int64_t> indices) {
  std::vector<Tensor> values;
  std::size_t offset = 0;
  for (const Shape& shape : trunk_->shapes()) {
    values.emplace_back(shape.with_batch(std::ssize(indices)));
    const auto size = static_cast<std::size_t>(shape.size());
    auto to = values.back().mutable_data().begin();
    for (const std::int64_t index : indices)
      to = std::copy_n(store_->row(index).begin() + static_cast<std::ptrdiff_t>(offset), size, to);
    offset += size;
  }
  return values;
}

std::int64_t FeatureLoader::batches_per_epoch() const { return loader_->batches_per_epoch(); }

}  // namespace branchy
