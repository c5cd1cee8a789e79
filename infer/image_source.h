// ImageSource: where the edge's images come from: a data set, files and folders, a watched folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "infer/model.h"
#include "infer/model_images.h"

namespace branchy {

struct SourceImage {
  std::optional<std::int64_t> index = {};  ///< in the data set
  std::optional<std::int64_t> label = {};
  std::string file = {};                  ///< or the image file
  std::vector<std::uint8_t> pixels = {};  ///< 0..255, row-major [3,H,W] of the model's size
  double decode_ms = 0;
  std::string problem = {};  ///< why it could not be read; without pixels then
};

/// One thread at a time.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  /// Blocks until there is an image. Nothing when there will be none.
  [[nodiscard]] virtual std::optional<SourceImage> next() = 0;
};

/// The part of a data set. `remark` gets what is to be told about it, one entry a line. Throws what
/// `open_images` does, ConfigError when the classes are not the model's.
[[nodiscard]] std::unique_ptr<ImageSource> make_data_source(const ServedModel& model,
                                                            const ImageRequest& request,
                                                            std::vector<std::string>& remarks);

/// Image files in the order given; a folder stands for the image files below it, as `images_below`
/// lists them. What cannot be read is a problem of that image. Throws IoError for a folder that
/// cannot be listed, ConfigError for one without images.
[[nodiscard]] std::unique_ptr<ImageSource> make_file_source(const ServedModel& model,
                                                            const std::vector<std::string>& paths);

/// Image files that lie in `folder` and those that come; ends when `stop` is readable. Throws
/// what WatchedFolder does, from `next` too.
[[nodiscard]] std::unique_ptr<ImageSource> make_watch_source(const ServedModel& model,
                                                             const std::filesystem::path& folder,
                                                             int stop);

}  // namespace branchy
