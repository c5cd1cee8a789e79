#include "infer/model_images.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/error.h"
#include "data/pipeline.h"
#include "data/source.h"

namespace branchy {

namespace {

/// The preset of "imagenet 224"; the side is the network's.
std::optional<Augmentation> recorded_preset(const ModelInfo& info) {
  if (info.data_transforms.empty()) return std::nullopt;
  return parse_augmentation_name(
      std::string_view(info.data_transforms).substr(0, info.data_transforms.find(' ')));
}

/// "clean" of "clean:0123...".
std::string_view split_name(std::string_view record) { return record.substr(0, record.find(':')); }

SplitMode split_mode(const ModelInfo& info, const ImageRequest& request) {
  if (request.part == "all") return SplitMode::kAll;
  return split_name(info.data_split) == "as-published" ? SplitMode::kAsPublished
                                                       : SplitMode::kClean;
}

DataOptions data_options(const ModelInfo& info, const Shape& input, const ImageRequest& request) {
  const bool uses_recorded_list = request.test_list.empty() && request.part != "all";
  // What a model of CIFAR held out says nothing about a folder.
  const bool is_other_data = request.data.starts_with("folder:") && info.data_split.empty();
  DataOptions options{.val_count = is_other_data ? 0 : info.val_count,
                      .seed = info.val_seed,
                      .folder = {.side = input[2], .cache = request.cache},
                      .split = split_mode(info, request),
                      .test_list = request.test_list,
                      .skip_corrupt = request.skip_corrupt};
  if (uses_recorded_list) options.test_paths = info.data_test_list;
  options.folder.preset = recorded_preset(info).value_or(options.folder.preset);
  return options;
}

/// Part folders are the split by themselves and may have got new test images since.
void check_split(const ModelInfo& info, const DataSource& source, const ImageRequest& request) {
  if (info.data_split.empty() || request.part == "all") return;
  const bool is_same = split_name(info.data_split) == "folders"
                           ? split_name(source.split_record()) == "folders"
                           : source.split_record() == info.data_split;
  if (!is_same)
    throw ConfigError(fmt::format(
        "[data] {} is not split as in training ('{:.24}', here '{:.24}'): its files have changed, "
        "or it is another folder; --split all takes every image",
        request.data, info.data_split, source.split_record()));
}

/// Labels are the order of the class directories: one more or less would shift them.
void check_classes(const ModelInfo& info, const DataSource& source) {
  if (source.photos() == nullptr) return;
  const std::vector<std::string>& names = source.photos()->class_names();
  const bool are_known = !info.class_names.empty();
  const std::int64_t count = std::ssize(names);
  if (are_known ? count != info.config.classes : count > info.config.classes)
    throw ConfigError(
        fmt::format("[data] {} class directories, the model has {} classes; use a "
                    "folder with those",
                    count, info.config.classes));
  if (!are_known) return;
  const auto [found, expected] =
      std::mismatch(names.begin(), names.end(), info.class_names.begin());
  if (found != names.end())
    throw ConfigError(
        fmt::format("[data] class directory '{}' where the model has '{}'; use the same names",
                    *found, *expected));
}

void check_shape(const Dataset& images, const Shape& input) {
  const Shape shape = images.image_shape();
  if (input != Shape{1, shape[0], shape[1], shape[2]})
    throw ConfigError(fmt::format("[data] images are {}, the model takes {}", shape.to_string(),
                                  input.to_string()));
}

}  // namespace

ModelImages open_images(const ModelInfo& info, const Shape& input, const ImageRequest& request) {
  DataSource source(request.data, data_options(info, input, request));
  check_classes(info, source);
  check_split(info, source, request);
  ModelImages result{
      .images = nullptr, .description = source.description(), .left_out = source.left_out()};
  if (request.part == "train") {
    result.images = source.train();
  } else if (request.part == "val") {
    result.images = source.validation();
  } else {
    result.images = source.test();
  }
  if (result.images == nullptr || result.images->size() == 0)
    throw ConfigError(fmt::format("[data] {} has no images for --split {}; choose another part",
                                  request.data, request.part));
  check_shape(*result.images, input);
  return result;
}

namespace {

Pipeline image_pipeline(const ModelInfo& info, const Shape& input) {
  const std::optional<Augmentation> preset = recorded_preset(info);
  return preset ? evaluation_pipeline(*preset, input[2])
                : Pipeline({resize_step(input[2], input[3])});
}

}  // namespace

std::vector<std::uint8_t> read_model_image(const ModelInfo& info, const Shape& input,
                                           const std::filesystem::path& file) {
  return read_photo(file, image_pipeline(info, input)).pixels;
}

std::vector<std::uint8_t> decode_model_image(const ModelInfo& info, const Shape& input,
                                             std::span<const std::uint8_t> bytes,
                                             std::string_view place, const ImageLimits& limits) {
  return prepare_photo(decode_image(bytes, place, limits), image_pipeline(info, input), place)
      .pixels;
}

}  // namespace branchy
