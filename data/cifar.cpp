#include "data/cifar.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "core/error.h"
#include "data/digest.h"

namespace branchy {

namespace {

constexpr std::int64_t kCoarseClasses = 20;
// Ten times the official 153,700,000 bytes: a larger file is something else.
constexpr std::uintmax_t kMaxFileBytes = 1'537'000'000;

struct Layout {
  const char* option;
  const char* folder;
  std::vector<const char*> train, test;
  const char* names;
  std::size_t classes;
};

Layout layout_of(CifarKind kind) {
  if (kind == CifarKind::kCifar10)
    return {"cifar10",
            "cifar-10-batches-bin",
            {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
             "data_batch_5.bin"},
            {"test_batch.bin"},
            "batches.meta.txt",
            10};
  return {"cifar100", "cifar-100-binary", {"train.bin"}, {"test.bin"}, "fine_label_names.txt", 100};
}

std::string remedy(const Layout& layout) {
  return fmt::format("fetch it again with 'branchy data fetch {}'", layout.option);
}

std::filesystem::path find_folder(const std::filesystem::path& directory, const Layout& layout) {
  std::error_code error;
  for (const auto& candidate : {directory, directory / layout.folder})
    if (std::filesystem::exists(candidate / layout.test.front(), error) ||
        std::filesystem::exists(candidate / layout.train.front(), error))
      return candidate;
  throw IoError(fmt::format(
      "[{}] neither the directory nor its folder {} holds {}; name the directory of the binary "
      "version, or get it with 'branchy data fetch {} --out {}'",
      directory.string(), layout.folder, layout.train.front(), layout.option, directory.string()));
}

std::vector<std::string> read_names(const std::filesystem::path& path, const Layout& layout) {
  std::ifstream file(path);
  if (!file)
    throw IoError(fmt::format("[{}] cannot read the class names: {}; {}", path.string(),
                              std::strerror(errno), remedy(layout)));
  std::vector<std::string> names;
  for (std::string line; names.size() <= layout.classes && std::getline(file, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.size() > 256)
      throw DataError(fmt::format("[{}] line {} has {} bytes, expected a class name; {}",
                                  path.string(), names.size() + 1, line.size(), remedy(layout)));
    if (!line.empty()) names.push_back(line);
  }
  if (names.size() != layout.classes)
    throw DataError(fmt::format("[{}] {}{} class names, expected {}; {}", path.string(),
                                names.size() > layout.classes ? "at least " : "", names.size(),
                                layout.classes, remedy(layout)));
  return names;
}

}  // namespace

CifarDataset::CifarDataset(CifarKind kind, const std::filesystem::path& directory,
                           DatasetSplit split)
    : kind_(kind) {
  const Layout layout = layout_of(kind);
  const std::filesystem::path folder = find_folder(directory, layout);
  class_names_ = read_names(folder / layout.names, layout);
  for (const char* name : split == DatasetSplit::kTrain ? layout.train : layout.test)
    append(folder / name);
}

void CifarDataset::append(const std::filesystem::path& path) {
  const std::string fix = remedy(layout_of(kind_));
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error)
    throw IoError(
        fmt::format("[{}] cannot read the file: {}; {}", path.string(), error.message(), fix));
  if (size == 0 || size > kMaxFileBytes || size % record_bytes() != 0)
    throw DataError(fmt::format(
        "[{}] {} bytes: record {} ends after {} bytes, expected whole records of {} and at most {} "
        "bytes; {}",
        path.string(), size, size / record_bytes(), size % record_bytes(), record_bytes(),
        kMaxFileBytes, fix));
  const File entry{path.filename().string(), bytes_.size(), bytes_.size() + size};
  bytes_.resize(entry.end);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(bytes_.data() + entry.begin),
            static_cast<std::streamsize>(size));
  if (!file)
    throw IoError(
        fmt::format("[{}] only {} of {} bytes could be read; check the permissions and "
                    "the disk",
                    path.string(), std::max<std::streamsize>(file.gcount(), 0), size));
  check_labels(path, entry);
  files_.push_back(entry);
}

void CifarDataset::check_labels(const std::filesystem::path& path, const File& file) const {
  const std::int64_t classes = std::ssize(class_names_);
  for (std::size_t at = file.begin; at < file.end; at += record_bytes()) {
    for (std::size_t byte = 0; byte < label_bytes(); ++byte) {
      const bool fine = byte + 1 == label_bytes();
      const std::int64_t limit = fine ? classes : kCoarseClasses;
      if (bytes_[at + byte] >= limit)
        throw DataError(fmt::format("[{}] record {} has the {}label {}, expected 0 to {}; {}",
                                    path.string(), (at - file.begin) / record_bytes(),
                                    fine ? "" : "coarse ", bytes_[at + byte], limit - 1,
                                    remedy(layout_of(kind_))));
    }
  }
}

std::int64_t CifarDataset::size() const {
  return static_cast<std::int64_t>(bytes_.size() / record_bytes());
}

std::span<const std::uint8_t> CifarDataset::record(std::int64_t index) const {
  BRANCHY_DCHECK(index >= 0 && index < size());
  return std::span(bytes_).subspan(static_cast<std::size_t>(index) * record_bytes(),
                                   record_bytes());
}

std::int64_t CifarDataset::label(std::int64_t index) const {
  return record(index)[label_bytes() - 1];
}

void CifarDataset::read(std::int64_t index, std::span<std::uint8_t> pixels) const {
  BRANCHY_DCHECK(std::ssize(pixels) == kCifarPixels);
  const auto source = record(index).subspan(label_bytes());
  std::copy(source.begin(), source.end(), pixels.begin());
}

std::string CifarDataset::checksum() const {
  std::call_once(checksum_once_, [this] {
    Digest digest(DigestKind::kSha256);
    for (const File& file : files_) {
      digest.update({reinterpret_cast<const std::uint8_t*>(file.name.data()), file.name.size()});
      digest.update(std::span(bytes_).subspan(file.begin, file.end - file.begin));
    }
    checksum_ = digest.finish();
  });
  return checksum_;
}

}  // namespace branchy
