#include "data/pipeline.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "data/photo_transforms.h"

namespace branchy {

namespace {

void require_side(std::int64_t side) {
  constexpr std::int64_t kMaxSide = 4096;
  if (side < 1 || side > kMaxSide)
    throw ConfigError(fmt::format(
        "[pipeline] images of {} pixels, expected 1 to {}; correct --image-size", side, kMaxSide));
}

}  // namespace

TransformStep resize_step(std::int64_t height, std::int64_t width) {
  return {.description = fmt::format("resize {}x{}", height, width),
          .random = false,
          .apply = [height, width](const Image& image, Rng&) {
            return resize_image(image, height, width);
          }};
}

TransformStep resize_shorter_step(std::int64_t side) {
  return {.description = fmt::format("resize-shorter {}", side),
          .random = false,
          .apply = [side](const Image& image, Rng&) { return resize_shorter_side(image, side); }};
}

TransformStep center_crop_step(std::int64_t side) {
  return {.description = fmt::format("center-crop {}", side),
          .random = false,
          .apply = [side](const Image& image, Rng&) { return center_crop(image, side); }};
}

TransformStep random_resized_crop_step(std::int64_t side) {
  return {.description = fmt::format("random-resized-crop {}", side),
          .random = true,
          .apply = [side](const Image& image, Rng& rng) {
            return resize_image(crop_image(image, random_resized_crop_box(image, rng)), side, side);
          }};
}

TransformStep pad_crop_flip_step() {
  return {.description = fmt::format("pad-crop-flip {}", kCropPadding),
          .random = true,
          .apply = [](const Image& image, Rng& rng) {
            Image result = image;
            augment(Augmentation::kCropFlip, Shape{3, image.height, image.width}, image.pixels,
                    result.pixels, rng);
            return result;
          }};
}

TransformStep flip_step(float probability) {
  return {.description = fmt::format("flip {}", probability),
          .random = true,
          .apply = [probability](Image image, Rng& rng) {
            return rng.uniform() < probability ? flip_horizontally(image) : std::move(image);
          }};
}

TransformStep rotation_step(float degrees) {
  return {.description = fmt::format("rotation {}", degrees),
          .random = true,
          .apply = [degrees](const Image& image, Rng& rng) {
            return rotate_image(image, static_cast<double>(rng.uniform(-degrees, degrees)));
          }};
}

TransformStep brightness_step(float low, float high) {
  return {.description = fmt::format("brightness {}-{}", low, high),
          .random = true,
          .apply = [low, high](Image image, Rng& rng) {
            return adjust_brightness(std::move(image), rng.uniform(low, high));
          }};
}

TransformStep grayscale_step(float probability) {
  return {.description = fmt::format("grayscale {}", probability),
          .random = true,
          .apply = [probability](Image image, Rng& rng) {
            return rng.uniform() < probability ? to_grayscale(std::move(image)) : std::move(image);
          }};
}

TransformStep one_of_step(std::vector<TransformStep> steps) {
  if (steps.empty()) throw ConfigError("[pipeline] a choice of no transform; give one or more");
  std::string description = "one-of (";
  for (std::size_t i = 0; i < steps.size(); ++i)
    description += (i == 0 ? "" : " | ") + steps[i].description;
  return {.description = description + ")",
          .random = true,
          .apply = [steps = std::move(steps)](Image image, Rng& rng) {
            const auto chosen = static_cast<std::size_t>(rng.below(std::ssize(steps)));
            return steps[chosen].apply(std::move(image), rng);
          }};
}

Pipeline::Pipeline(std::vector<TransformStep> steps) : steps_(std::move(steps)) {
  while (num_fixed_ < steps_.size() && !steps_[num_fixed_].random) ++num_fixed_;
}

Image Pipeline::apply(Image image, Rng& rng) const {
  return apply_random(apply_fixed(std::move(image)), rng);
}

Image Pipeline::apply_fixed(Image image) const {
  Rng unused(0);
  for (std::size_t i = 0; i < num_fixed_; ++i) image = steps_[i].apply(std::move(image), unused);
  return image;
}

Image Pipeline::apply_random(Image image, Rng& rng) const {
  for (std::size_t i = num_fixed_; i < steps_.size(); ++i)
    image = steps_[i].apply(std::move(image), rng);
  return image;
}

std::string Pipeline::describe(std::size_t count) const {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ", ") + steps_[i].description;
  return text;
}

Image prepare_photo(Image image, const Pipeline& pipeline, std::string_view place) {
  const std::int64_t height = image.height;
  const std::int64_t width = image.width;
  try {
    return pipeline.apply_fixed(std::move(image));
  } catch (const ConfigError& error) {
    throw DataError(
        fmt::format("[{}] {}x{} pixels, too narrow: {}", place, width, height, error.what()));
  }
}

Image read_photo(const std::filesystem::path& path, const Pipeline& pipeline) {
  return prepare_photo(read_image(path), pipeline, path.string());
}

Pipeline evaluation_pipeline(Augmentation preset, std::int64_t side) {
  require_side(side);
  const std::int64_t shorter = preset == Augmentation::kPacheco ? side : (8 * side + 3) / 7;
  return Pipeline({resize_shorter_step(shorter), center_crop_step(side)});
}

Pipeline training_pipeline(Augmentation preset, std::int64_t side) {
  require_side(side);
  switch (preset) {
    case Augmentation::kNone:
      break;
    case Augmentation::kCropFlip: {
      std::vector<TransformStep> steps = evaluation_pipeline(preset, side).steps();
      steps.push_back(pad_crop_flip_step());
      return Pipeline(std::move(steps));
    }
    case Augmentation::kImagenet:
      return Pipeline({random_resized_crop_step(side), flip_step(0.5F)});
    case Augmentation::kPacheco:
      return Pipeline({resize_step(side, side),
                       one_of_step({brightness_step(0.8F, 1.2F), grayscale_step(0.25F)}),
                       flip_step(0.25F), rotation_step(25.0F)});
  }
  return evaluation_pipeline(preset, side);
}

std::int64_t default_side(Augmentation preset) {
  return preset == Augmentation::kPacheco ? 300 : 224;
}

}  // namespace branchy
