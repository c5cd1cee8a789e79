// ImageCache: decoded and resized images as files, so that an epoch need not decode them again.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "data/image.h"

namespace branchy {

/// 1. The name of an entry is a digest of what it depends on: path, size and modification time of
///    the image file, and the description of the transforms. A change of any gives another name.
/// 2. An entry is written aside and renamed, so any number of threads and processes may share the
///    folder; one that is damaged or cut short is taken for absent.
/// 3. Nothing is ever removed: delete the folder to free its space.
class ImageCache {
 public:
  /// Throws IoError when the folder cannot be made.
  explicit ImageCache(std::filesystem::path folder);

  /// The entry's file for an image file as it is now. Throws IoError when that cannot be examined.
  [[nodiscard]] std::filesystem::path entry_of(const std::filesystem::path& image,
                                               std::string_view transforms) const;
  [[nodiscard]] std::optional<Image> load(const std::filesystem::path& entry) const;
  /// Throws IoError naming the entry and the remedy, e.g. when the disk is full.
  void store(const std::filesystem::path& entry, const Image& image) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace branchy
