// CIFAR-10 and CIFAR-100 in the binary version of https://www.cs.toronto.edu/~kriz/cifar.html.
#pragma once

#include <filesystem>
#include <mutex>

#include "data/dataset.h"

namespace branchy {

enum class CifarKind { kCifar10, kCifar100 };

inline constexpr std::int64_t kCifarSide = 32;
inline constexpr std::int64_t kCifarPixels = 3 * kCifarSide * kCifarSide;

/// Every record of a split, held in memory. A record is one label byte (CIFAR-100: coarse, fine)
/// and 1024 red, 1024 green, 1024 blue bytes, each plane row-major; the fine label counts.
class CifarDataset final : public Dataset {
 public:
  /// See open_dataset() for `directory` and the errors. Any number of records a file is taken.
  CifarDataset(CifarKind kind, const std::filesystem::path& directory, DatasetSplit split);

  [[nodiscard]] std::int64_t size() const override;
  [[nodiscard]] Shape image_shape() const override { return {3, kCifarSide, kCifarSide}; }
  [[nodiscard]] const std::vector<std::string>& class_names() const override {
    return class_names_;
  }
  [[nodiscard]] std::int64_t label(std::int64_t index) const override;
  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override;
  /// Over the split's files in their order, names included.
  [[nodiscard]] std::string checksum() const override;
  [[nodiscard]] Normalization normalization() const override {
    return kind_ == CifarKind::kCifar10 ? kCifar10Normalization : kCifar100Normalization;
  }

 private:
  struct File {
    std::string name;
    std::size_t begin = 0, end = 0;  // its bytes in bytes_
  };

  void append(const std::filesystem::path& path);
  void check_labels(const std::filesystem::path& path, const File& file) const;
  [[nodiscard]] std::span<const std::uint8_t> record(std::int64_t index) const;
  [[nodiscard]] std::size_t label_bytes() const { return kind_ == CifarKind::kCifar10 ? 1 : 2; }
  [[nodiscard]] std::size_t record_bytes() const {
    return label_bytes() + static_cast<std::size_t>(kCifarPixels);
  }

  CifarKind kind_;
  std::vector<std::string> class_names_;
  std::vector<File> files_;
  std::vector<std::uint8_t> bytes_;
  mutable std::once_flag checksum_once_;
  mutable std::string checksum_;
};

}  // namespace branchy
