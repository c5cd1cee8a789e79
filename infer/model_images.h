// The images that a model file goes with: the parts of its data set, transformed as it recorded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"
#include "layers/model_file.h"

namespace branchy {

struct ImageRequest {
  std::string data;                      ///< "cifar10:DIR", "cifar100:DIR" or "folder:DIR"
  std::string part = "test";             ///< "test", "val", "train" or, of a folder, "all"
  std::filesystem::path test_list = {};  ///< folder: of a model that recorded none
  std::filesystem::path cache = {};      ///< folder: see FolderOptions
  bool skip_corrupt = false;             ///< folder: see DataOptions
};

struct ModelImages {
  std::shared_ptr<const Dataset> images;
  std::string description;            ///< of photographs: the split, for people; else ""
  std::vector<std::string> left_out;  ///< messages of the damaged photographs
};

/// Opens a part of the data with the split, the transforms and the image size of the model's
/// training. Throws ConfigError when the images do not fit `input` [1,3,H,W]; when the classes of a
/// folder are not the model's; when a folder is not split as in training (`part` "all" evaluates
/// on any folder); and for a part that is empty.
[[nodiscard]] ModelImages open_images(const ModelInfo& info, const Shape& input,
                                      const ImageRequest& request);

/// One image file as the model's evaluation sees it, [3,H,W] bytes: by the recorded transforms, or
/// resized to the size of `input`. Throws what read_image() does.
[[nodiscard]] std::vector<std::uint8_t> read_model_image(const ModelInfo& info, const Shape& input,
                                                         const std::filesystem::path& file);
/// The same of the bytes of an image file. Throws DataError that begins with `place`, also for an
/// image beyond `limits`.
[[nodiscard]] std::vector<std::uint8_t> decode_model_image(const ModelInfo& info,
                                                           const Shape& input,
                                                           std::span<const std::uint8_t> bytes,
                                                           std::string_view place,
                                                           const ImageLimits& limits);

}  // namespace branchy
