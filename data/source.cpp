#include "data/source.h"

#include <fmt/core.h>

#include <string_view>
#include <utility>

#include "core/error.h"
#include "data/digest.h"
#include "data/split.h"
#include "data/transform.h"

namespace branchy {

namespace {

constexpr std::string_view kFolderForm = "folder:";
constexpr std::int64_t kCifarValidation = 5000;

std::string digest_of_text(const std::string& text) {
  Digest digest(DigestKind::kSha256);
  digest.update({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  return digest.finish();
}

}  // namespace

DataSource::DataSource(std::string spec, DataOptions options)
    : spec_(std::move(spec)), options_(std::move(options)) {
  if (spec_.starts_with(kFolderForm) && spec_.size() > kFolderForm.size()) {
    open_folder(spec_.substr(kFolderForm.size()));
    return;
  }
  if (!options_.test_list.empty() || !options_.folder.cache.empty() || options_.skip_corrupt ||
      options_.split != SplitMode::kClean)
    throw ConfigError(
        fmt::format("[data set '{}'] --test-list, --split, --cache and --skip-corrupt are for "
                    "folder:DIR; leave them out",
                    spec_));
}

void DataSource::open_folder(const std::string& folder) {
  photos_ = std::make_shared<const FolderDataset>(list_folder(folder), options_.folder);
  split_ = split_photos(photos_->listing(), {.mode = options_.split,
                                             .test_list = options_.test_list,
                                             .test_paths = options_.test_paths,
                                             .val_count = options_.val_count,
                                             .seed = options_.seed});
  val_count_ = std::ssize(split_.validation);
  if (split_.name == "test-list")
    for (const std::int64_t position : split_.test)
      test_list_record_.push_back(
          photos_->listing().images[static_cast<std::size_t>(position)].path);
  split_record_ = split_.name + ":" + digest_of_text(to_lines(photos_->listing(), split_));
  if (!options_.skip_corrupt) return;
  // After the split, so that a damaged file changes the part it is in and nothing else.
  for (const FolderDataset::Damaged& damaged : photos_->find_damaged(options_.threads)) {
    left_out_.push_back(damaged.message);
    for (auto* part : {&split_.train, &split_.validation, &split_.test})
      std::erase(*part, damaged.index);
  }
  if ((split_.train.empty() && options_.split != SplitMode::kAll) || split_.test.empty())
    throw DataError(
        fmt::format("[{}] no image is left to train or test on; repair the files", folder));
}

void DataSource::open_cifar() {
  const auto all = open_dataset(spec_, DatasetSplit::kTrain);
  val_count_ = options_.val_count < 0 ? kCifarValidation : options_.val_count;
  if (val_count_ == 0) {
    train_ = all;
    return;
  }
  auto split = split_validation(all->size(), val_count_, options_.seed);
  train_ = std::make_shared<const Subset>(all, std::move(split.train));
  validation_ = std::make_shared<const Subset>(all, std::move(split.validation));
}

std::shared_ptr<const Dataset> DataSource::train() {
  if (train_ == nullptr && photos_ == nullptr) open_cifar();
  if (train_ == nullptr) train_ = std::make_shared<const Subset>(photos_, split_.train);
  return train_;
}

std::shared_ptr<const Dataset> DataSource::validation() {
  if (train_ == nullptr && photos_ == nullptr) open_cifar();
  if (validation_ == nullptr && !split_.validation.empty())
    validation_ = std::make_shared<const Subset>(photos_, split_.validation);
  return validation_;
}

std::shared_ptr<const Dataset> DataSource::test() {
  if (test_ == nullptr)
    test_ = photos_ == nullptr ? open_dataset(spec_, DatasetSplit::kTest)
                               : std::make_shared<const Subset>(photos_, split_.test);
  return test_;
}

std::int64_t DataSource::val_count() {
  if (train_ == nullptr && photos_ == nullptr) open_cifar();
  return val_count_;
}

std::string DataSource::transforms_record() const {
  if (photos_ == nullptr) return {};
  return fmt::format("{} {}", augmentation_name(options_.folder.preset), photos_->image_shape()[1]);
}

std::string DataSource::description() const {
  if (photos_ == nullptr) return {};
  std::string text =
      fmt::format("split {}: {} training, {} validation, {} test images", split_.description,
                  split_.train.size(), split_.validation.size(), split_.test.size());
  if (options_.skip_corrupt) text += fmt::format(", {} damaged left out", left_out_.size());
  return text;
}

std::string DataSource::split_lines() const {
  return photos_ == nullptr ? std::string() : to_lines(photos_->listing(), split_);
}

}  // namespace branchy
