// Pipeline: transforms in a row, and the presets that turn photographs into squares of one size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/rng.h"
#include "data/image.h"
#include "data/transform.h"

namespace branchy {

/// One transform. `apply` is a pure function of the image and the generator; a step that is not
/// `random` leaves the generator alone.
struct TransformStep {
  std::string description;  ///< name and parameters; names cached results
  bool random = false;
  std::function<Image(Image, Rng&)> apply;
};

[[nodiscard]] TransformStep resize_step(std::int64_t height, std::int64_t width);
[[nodiscard]] TransformStep resize_shorter_step(std::int64_t side);
[[nodiscard]] TransformStep center_crop_step(std::int64_t side);
/// A random box (see random_resized_crop_box) resized to a square.
[[nodiscard]] TransformStep random_resized_crop_step(std::int64_t side);
/// Crop after padding and flip: Augmentation::kCropFlip.
[[nodiscard]] TransformStep pad_crop_flip_step();
[[nodiscard]] TransformStep flip_step(float probability);
/// By an angle uniform in [-degrees, degrees].
[[nodiscard]] TransformStep rotation_step(float degrees);
/// By a factor uniform in [low, high].
[[nodiscard]] TransformStep brightness_step(float low, float high);
[[nodiscard]] TransformStep grayscale_step(float probability);
/// One of the steps, each as likely as another.
[[nodiscard]] TransformStep one_of_step(std::vector<TransformStep> steps);

/// The leading steps that are not random give the same for every epoch, so their result can be
/// kept: apply() is apply_random() after apply_fixed().
class Pipeline {
 public:
  Pipeline() = default;
  explicit Pipeline(std::vector<TransformStep> steps);

  [[nodiscard]] Image apply(Image image, Rng& rng) const;
  [[nodiscard]] Image apply_fixed(Image image) const;
  [[nodiscard]] Image apply_random(Image image, Rng& rng) const;
  [[nodiscard]] const std::vector<TransformStep>& steps() const { return steps_; }
  /// "resize-shorter 256, center-crop 224".
  [[nodiscard]] std::string description() const { return describe(steps_.size()); }
  [[nodiscard]] std::string fixed_description() const { return describe(num_fixed_); }

 private:
  [[nodiscard]] std::string describe(std::size_t count) const;

  std::vector<TransformStep> steps_;
  std::size_t num_fixed_ = 0;
};

/// The fixed steps of `pipeline` on a decoded image. Throws DataError that begins with `place` for
/// an image so narrow that a step cannot be done.
[[nodiscard]] Image prepare_photo(Image image, const Pipeline& pipeline, std::string_view place);

/// read_image() and the fixed steps of `pipeline`. Throws what read_image() does, and DataError for
/// an image so narrow that a step cannot be done; all name the file.
[[nodiscard]] Image read_photo(const std::filesystem::path& path, const Pipeline& pipeline);

/// Photographs to squares of `side` pixels without chance. kPacheco: shorter side to `side`,
/// central square. The others: shorter side to 8/7 of `side` (256 for 224), central square.
[[nodiscard]] Pipeline evaluation_pipeline(Augmentation preset, std::int64_t side);

/// The same for training. kNone: evaluation_pipeline(). kCropFlip: after it, crop with padding 4
/// and flip. kImagenet: random resized crop, flip. kPacheco: resize to the square, brightness 0.8
/// to 1.2 or grayscale (p 1/4), flip (p 1/4), rotation by up to 25 degrees (code of Pacheco et
/// al.).
[[nodiscard]] Pipeline training_pipeline(Augmentation preset, std::int64_t side);

/// 300 for kPacheco, 224 for the others.
[[nodiscard]] std::int64_t default_side(Augmentation preset);

}  // namespace branchy
