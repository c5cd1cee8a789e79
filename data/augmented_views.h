// AugmentedViews: several fixed augmentations of every image of a data set, as a data set.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/transform.h"

namespace branchy {

struct ViewOptions {
  std::int64_t views = 1;  ///< of each image
  Augmentation augmentation = Augmentation::kCropFlip;
  std::uint64_t seed = 0;
};

/// Image i of `base` as view v is image v * base->size() + i; a pure function of (seed, v, i), so
/// what was once computed on a view holds whenever it is read again.
class AugmentedViews final : public Dataset {
 public:
  /// Throws ConfigError for less than one view, or more than one where nothing is augmented.
  AugmentedViews(std::shared_ptr<const Dataset> base, ViewOptions options);

  [[nodiscard]] std::int64_t size() const override { return options_.views * base_->size(); }
  [[nodiscard]] Shape image_shape() const override { return base_->image_shape(); }
  [[nodiscard]] const std::vector<std::string>& class_names() const override {
    return base_->class_names();
  }
  [[nodiscard]] std::int64_t label(std::int64_t index) const override {
    return base_->label(index % base_->size());
  }
  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override;
  /// Of the base.
  [[nodiscard]] std::string checksum() const override { return base_->checksum(); }
  [[nodiscard]] Normalization normalization() const override { return base_->normalization(); }

 private:
  std::shared_ptr<const Dataset> base_;
  ViewOptions options_;
};

}  // namespace branchy
