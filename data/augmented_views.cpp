#include "data/augmented_views.h"

#include <fmt/core.h>

#include <utility>

#include "core/error.h"

namespace branchy {

namespace {
// Keeps the views' streams apart from those of loaders under the same seed.
constexpr std::uint64_t kViewStream = 0x7669657773ULL;  // "views"
}  // namespace

AugmentedViews::AugmentedViews(std::shared_ptr<const Dataset> base, ViewOptions options)
    : base_(std::move(base)), options_(options) {
  const bool augments = options_.augmentation != Augmentation::kNone;
  if (options_.views < 1 || (options_.views > 1 && !augments))
    throw ConfigError(fmt::format("[views] {} views with augmentation {}, expected {}",
                                  options_.views, augmentation_name(options_.augmentation),
                                  augments ? "1 or more" : "1, as all would be equal"));
}

void AugmentedViews::read(std::int64_t index, std::span<std::uint8_t> pixels) const {
  BRANCHY_DCHECK(index >= 0 && index < size());
  const std::int64_t view = index / base_->size();
  const std::int64_t image = index % base_->size();
  Rng rng({kViewStream, options_.seed, static_cast<std::uint64_t>(view),
           static_cast<std::uint64_t>(image)});
  base_->read_augmented(image, options_.augmentation, rng, pixels);
}

}  // namespace branchy
