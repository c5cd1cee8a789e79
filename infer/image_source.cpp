#include "infer/image_source.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "core/error.h"
#include "data/folder.h"
#include "infer/watched_folder.h"

namespace branchy {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

SourceImage read_file(const ServedModel& model, const fs::path& file) {
  SourceImage image{.file = file.string()};
  const Clock::time_point start = Clock::now();
  try {
    image.pixels = read_model_image(model.info, *model.image_shape, file);
  } catch (const Error& error) {
    image.problem = error.what();
  }
  image.decode_ms = ms_since(start);
  return image;
}

class DataSourceOfImages final : public ImageSource {
 public:
  explicit DataSourceOfImages(std::shared_ptr<const Dataset> images) : images_(std::move(images)) {}

  std::optional<SourceImage> next() override {
    if (next_ == images_->size()) return std::nullopt;
    SourceImage image{.index = next_, .label = images_->label(next_)};
    image.pixels.resize(static_cast<std::size_t>(images_->image_shape().size()));
    const Clock::time_point start = Clock::now();
    images_->read(next_++, image.pixels);
    image.decode_ms = ms_since(start);
    return image;
  }

 private:
  std::shared_ptr<const Dataset> images_;
  std::int64_t next_ = 0;
};

class FileSource final : public ImageSource {
 public:
  FileSource(const ServedModel& model, std::vector<fs::path> files)
      : model_(model), files_(std::move(files)) {}

  std::optional<SourceImage> next() override {
    if (next_ == files_.size()) return std::nullopt;
    return read_file(model_, files_[next_++]);
  }

 private:
  const ServedModel& model_;
  std::vector<fs::path> files_;
  std::size_t next_ = 0;
};

class WatchSource final : public ImageSource {
 public:
  WatchSource(const ServedModel& model, const fs::path& folder, int stop)
      : model_(model), folder_(folder), stop_(stop) {}

  std::optional<SourceImage> next() override {
    for (;;) {
      const std::optional<fs::path> file = folder_.next(stop_);
      if (!file) return std::nullopt;
      SourceImage image = read_file(model_, *file);
      std::error_code ignored;
      // Taken away between its arrival and its turn: nobody waits for an answer.
      if (image.problem.empty() || fs::exists(*file, ignored)) return image;
    }
  }

 private:
  const ServedModel& model_;
  WatchedFolder folder_;
  int stop_;
};

}  // namespace

std::unique_ptr<ImageSource> make_data_source(const ServedModel& model, const ImageRequest& request,
                                              std::vector<std::string>& remarks) {
  ModelImages opened = open_images(model.info, *model.image_shape, request);
  if (!opened.description.empty()) remarks.push_back(opened.description);
  for (const std::string& message : opened.left_out) remarks.push_back("left out: " + message);
  if (std::ssize(opened.images->class_names()) != model.info.config.classes) {
    throw ConfigError(fmt::format("[data] has {} classes, the model {}",
                                  opened.images->class_names().size(), model.info.config.classes));
  }
  return std::make_unique<DataSourceOfImages>(std::move(opened.images));
}

std::unique_ptr<ImageSource> make_file_source(const ServedModel& model,
                                              const std::vector<std::string>& paths) {
  std::vector<fs::path> files;
  for (const fs::path path : paths) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) {
      files.push_back(path);
      continue;
    }
    const std::vector<std::string> below = images_below(path);
    if (below.empty())
      throw ConfigError(
          fmt::format("[{}] no image files (JPEG, PNG, BMP, PPM) below it", path.string()));
    for (const std::string& name : below) files.push_back(path / name);
  }
  return std::make_unique<FileSource>(model, std::move(files));
}

std::unique_ptr<ImageSource> make_watch_source(const ServedModel& model, const fs::path& folder,
                                               int stop) {
  return std::make_unique<WatchSource>(model, folder, stop);
}

}  // namespace branchy
