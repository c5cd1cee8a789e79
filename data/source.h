// DataSource: the training, validation and test images of a data set, whatever its form.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/folder.h"
#include "data/photo_split.h"

namespace branchy {

struct DataOptions {
  /// Validation images, drawn by seed from those for training; -1: 5,000 of CIFAR, a tenth of a
  /// folder.
  std::int64_t val_count = -1;
  std::uint64_t seed = 0;
  FolderOptions folder = {};  ///< this and what follows: for `folder:DIR` alone
  SplitMode split = SplitMode::kClean;
  std::filesystem::path test_list = {};      ///< see PhotoSplitOptions
  std::vector<std::string> test_paths = {};  ///< see PhotoSplitOptions
  bool skip_corrupt = false;  ///< decode all images first and leave out the damaged ones
  std::int64_t threads = 1;   ///< to do so
};

/// Opens `cifar10:DIR`, `cifar100:DIR` (see open_dataset()) or `folder:DIR` (see list_folder()).
/// Parts are opened when they are first asked for; not for several threads at once.
class DataSource {
 public:
  /// Throws ConfigError for an unknown form and for options of folders with another form; what
  /// list_folder(), split_photos() and the data sets throw.
  DataSource(std::string spec, DataOptions options);

  [[nodiscard]] std::shared_ptr<const Dataset> train();
  /// Null when no image validates.
  [[nodiscard]] std::shared_ptr<const Dataset> validation();
  [[nodiscard]] std::shared_ptr<const Dataset> test();
  /// Images that the split gives to validation, damaged ones that were left out included.
  [[nodiscard]] std::int64_t val_count();

  /// All photographs before the split; null for CIFAR.
  [[nodiscard]] const FolderDataset* photos() const { return photos_.get(); }
  /// Of photographs, as model files record them; empty for CIFAR. The split: its name, a colon and
  /// the digest of split_lines() with damaged images still in it. The transforms for evaluation:
  /// "imagenet 224". The test images, when a list names them.
  [[nodiscard]] const std::string& split_record() const { return split_record_; }
  [[nodiscard]] std::string transforms_record() const;
  [[nodiscard]] const std::vector<std::string>& test_list_record() const {
    return test_list_record_;
  }
  /// Of photographs, for people: the split and what was left out; empty for CIFAR.
  [[nodiscard]] std::string description() const;
  /// One line for each image that is used: part, tab, path; empty for CIFAR.
  [[nodiscard]] std::string split_lines() const;
  /// Messages of the images that were left out.
  [[nodiscard]] const std::vector<std::string>& left_out() const { return left_out_; }

 private:
  void open_folder(const std::string& folder);
  void open_cifar();

  std::string spec_;
  DataOptions options_;
  std::shared_ptr<const FolderDataset> photos_;  // null for CIFAR
  PhotoSplit split_;
  std::string split_record_;
  std::vector<std::string> test_list_record_;
  std::vector<std::string> left_out_;
  std::int64_t val_count_ = 0;
  std::shared_ptr<const Dataset> train_, validation_, test_;
};

}  // namespace branchy
