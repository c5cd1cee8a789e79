// Folders of photographs in the ImageFolder layout (torchvision), which Caltech-256 follows.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image_cache.h"
#include "data/pipeline.h"

namespace branchy {

/// Which part of a data set an image belongs to by its place: `kAny` without part folders.
enum class FolderPart { kAny, kTrain, kVal, kTest };

struct FolderImage {
  std::string path;  ///< relative to the root, with forward slashes
  std::int64_t label = 0;
  FolderPart part = FolderPart::kAny;
};

struct FolderListing {
  std::filesystem::path root;
  std::vector<std::string> class_names;
  std::vector<FolderImage> images;
};

/// Whether a file is an image by its extension: .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff .webp in
/// any case.
[[nodiscard]] bool is_image_name(const std::filesystem::path& path);

/// The image files below `folder` relative to it, in the order of torchvision: directory by
/// directory, each sorted. Throws IoError when it cannot be read, DataError for a name with a line
/// break.
[[nodiscard]] std::vector<std::string> images_below(const std::filesystem::path& folder);

/// Lists `root/CLASS/...` or `root/train|val|test/CLASS/...` (with `train` and one of the others).
/// Classes are the directories in byte-wise order (hidden ones are left out), images the files
/// below them as `images_below` has them.
/// Throws IoError when a directory cannot be read; DataError for fewer than two classes, a class
/// without images, or parts whose classes differ.
[[nodiscard]] FolderListing list_folder(const std::filesystem::path& root);

struct FolderOptions {
  std::int64_t side = 0;  ///< of the square images; 0: default_side(preset)
  /// Decides evaluation_pipeline(); training may use any.
  Augmentation preset = Augmentation::kImagenet;
  std::filesystem::path cache = {};  ///< folder of an ImageCache; empty: none
};

/// All images of a listing, decoded when they are read. Throws DataError (or IoError) naming the
/// file when one is damaged.
class FolderDataset final : public Dataset {
 public:
  FolderDataset(FolderListing listing, const FolderOptions& options);

  [[nodiscard]] std::int64_t size() const override { return std::ssize(listing_.images); }
  [[nodiscard]] Shape image_shape() const override { return {3, side_, side_}; }
  [[nodiscard]] const std::vector<std::string>& class_names() const override {
    return listing_.class_names;
  }
  [[nodiscard]] std::int64_t label(std::int64_t index) const override;
  /// Through evaluation_pipeline().
  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override;
  /// Through training_pipeline(augmentation); kNone reads as for evaluation.
  void read_augmented(std::int64_t index, Augmentation augmentation, Rng& rng,
                      std::span<std::uint8_t> pixels) const override;
  /// Over paths and content of all files.
  [[nodiscard]] std::string checksum() const override;
  /// ImageNet's constants; for kPacheco those of its authors.
  [[nodiscard]] Normalization normalization() const override;

  [[nodiscard]] const FolderListing& listing() const { return listing_; }
  /// Decodes every image with `threads` threads (and so fills the cache); gives the messages of
  /// those that are damaged by ascending index.
  struct Damaged {
    std::int64_t index = 0;
    std::string message;
  };
  [[nodiscard]] std::vector<Damaged> find_damaged(std::int64_t threads) const;

 private:
  [[nodiscard]] const FolderImage& at(std::int64_t index) const;
  void read_through(const Pipeline& pipeline, std::int64_t index, Rng& rng,
                    std::span<std::uint8_t> pixels) const;

  FolderListing listing_;
  Augmentation preset_;
  std::int64_t side_;
  Pipeline evaluation_;
  std::array<Pipeline, kNumAugmentations> training_;
  std::unique_ptr<const ImageCache> cache_;
  mutable std::once_flag checksum_once_;
  mutable std::string checksum_;
};

/// Means and deviations of ImageNet, as torchvision's models expect them.
inline constexpr Normalization kImagenetNormalization = {.mean = {0.485F, 0.456F, 0.406F},
                                                         .std = {0.229F, 0.224F, 0.225F}};
/// Of Caltech-256, as the code of Pacheco et al. has them.
inline constexpr Normalization kPachecoNormalization = {
    .mean = {0.457342265910642F, 0.4387686270106377F, 0.4073427106250871F},
    .std = {0.26753769276329037F, 0.2638145880487105F, 0.2776826934044154F}};

}  // namespace branchy
