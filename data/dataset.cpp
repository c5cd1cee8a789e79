#include "data/dataset.h"

#include <fmt/core.h>

#include <utility>

#include "core/error.h"
#include "data/cifar.h"
#include "data/transform.h"

namespace branchy {

void Dataset::read_augmented(std::int64_t index, Augmentation augmentation, Rng& rng,
                             std::span<std::uint8_t> pixels) const {
  std::vector<std::uint8_t> original(pixels.size());
  read(index, original);
  augment(augmentation, image_shape(), original, pixels, rng);
}

Subset::Subset(std::shared_ptr<const Dataset> base, std::vector<std::int64_t> indices)
    : base_(std::move(base)), indices_(std::move(indices)) {
  for (const std::int64_t index : indices_)
    if (index < 0 || index >= base_->size())
      throw ConfigError(
          fmt::format("[subset] index {} of a data set of {} images; make the list "
                      "for this data set",
                      index, base_->size()));
}

std::int64_t Subset::base_index(std::int64_t index) const {
  BRANCHY_DCHECK(index >= 0 && index < size());
  return indices_[static_cast<std::size_t>(index)];
}

std::int64_t Subset::label(std::int64_t index) const { return base_->label(base_index(index)); }

void Subset::read(std::int64_t index, std::span<std::uint8_t> pixels) const {
  base_->read(base_index(index), pixels);
}

void Subset::read_augmented(std::int64_t index, Augmentation augmentation, Rng& rng,
                            std::span<std::uint8_t> pixels) const {
  base_->read_augmented(base_index(index), augmentation, rng, pixels);
}

std::shared_ptr<const Dataset> open_dataset(std::string_view spec, DatasetSplit split) {
  const std::size_t colon = spec.find(':');
  const std::string_view kind = spec.substr(0, colon);
  if (colon == std::string_view::npos || colon + 1 == spec.size() ||
      (kind != "cifar10" && kind != "cifar100"))
    throw ConfigError(fmt::format(
        "[data set '{}'] expected cifar10:DIR, cifar100:DIR or, for photographs, folder:DIR; see "
        "branchy data --help",
        spec));
  const CifarKind cifar = kind == "cifar10" ? CifarKind::kCifar10 : CifarKind::kCifar100;
  return std::make_shared<CifarDataset>(cifar, std::string(spec.substr(colon + 1)), split);
}

}  // namespace branchy
