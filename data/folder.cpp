#include "data/folder.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <exception>
#include <optional>
#include <thread>
#include <utility>

#include "core/error.h"
#include "data/digest.h"

namespace branchy {

namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 9> kExtensions = {".jpg", ".jpeg", ".png",  ".ppm", ".bmp",
                                                    ".pgm", ".tif",  ".tiff", ".webp"};

[[noreturn]] void refuse(const fs::path& path, const std::string& cause) {
  throw IoError(
      fmt::format("[{}] cannot list the folder: {}; check the path", path.string(), cause));
}

/// False for what cannot be examined, such as a link to itself: reading it names it.
bool is_folder(const fs::directory_entry& entry) {
  std::error_code ignored;
  return entry.is_directory(ignored);
}

/// Lists of paths have one a line.
void refuse_line_break(const fs::path& path) {
  if (path.filename().string().find_first_of("\r\n") != std::string::npos)
    throw DataError(fmt::format("[{}] a name with a line break in it; rename a file or directory",
                                path.parent_path().string()));
}

/// The names of the directories in `folder`, byte-wise sorted.
std::vector<std::string> directories_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!is_folder(*entry) || name.starts_with('.')) continue;
    refuse_line_break(entry->path());
    names.push_back(name);
  }
  if (error) refuse(folder, error.message());
  std::sort(names.begin(), names.end());
  return names;
}

/// Appends the images of the classes in `root / part`, whose names must be those of `listing`.
void append_part(FolderListing& listing, const std::string& folder, FolderPart part) {
  const fs::path place = listing.root / folder;
  const std::vector<std::string> classes = directories_in(place);
  if (classes.size() < 2)
    throw DataError(
        fmt::format("[{}] {} class directories, expected two or more; give the folder "
                    "that holds one directory for each class",
                    place.string(), classes.size()));
  if (listing.class_names.empty()) listing.class_names = classes;
  if (classes != listing.class_names) {
    const auto [mine, first] = std::mismatch(
        classes.begin(), classes.end(), listing.class_names.begin(), listing.class_names.end());
    throw DataError(fmt::format(
        "[{}] has class '{}' where the training part has '{}'; make the directories equal",
        place.string(), mine == classes.end() ? "" : *mine,
        first == listing.class_names.end() ? "" : *first));
  }
  for (std::size_t label = 0; label < classes.size(); ++label) {
    const auto paths = images_below(place / classes[label]);
    if (paths.empty())
      throw DataError(fmt::format("[{}] a class without images; add some or remove the directory",
                                  (place / classes[label]).string()));
    const std::string prefix = (folder.empty() ? "" : folder + "/") + classes[label] + "/";
    for (const std::string& path : paths)
      listing.images.push_back(
          {.path = prefix + path, .label = static_cast<std::int64_t>(label), .part = part});
  }
}

}  // namespace

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& letter : extension)
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

std::vector<std::string> images_below(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> found;  // directory, file
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::follow_directory_symlink,
                                         error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    refuse_line_break(entry->path());
    if (!is_image_name(entry->path()) || is_folder(*entry)) continue;
    const fs::path relative = entry->path().lexically_relative(folder);
    found.emplace_back(relative.parent_path().generic_string(), relative.filename().string());
  }
  if (error) refuse(folder, error.message());
  std::sort(found.begin(), found.end());
  std::vector<std::string> paths;
  paths.reserve(found.size());
  for (const auto& [directory, file] : found)
    paths.push_back(directory.empty() ? file : fmt::format("{}/{}", directory, file));
  return paths;
}

FolderListing list_folder(const fs::path& root) {
  FolderListing listing{.root = root, .class_names = {}, .images = {}};
  const auto names = directories_in(root);
  const auto has = [&names](const char* name) {
    return std::binary_search(names.begin(), names.end(), name);
  };
  if (!has("train") || (!has("val") && !has("test"))) {
    append_part(listing, "", FolderPart::kAny);
    return listing;
  }
  append_part(listing, "train", FolderPart::kTrain);
  if (has("val")) append_part(listing, "val", FolderPart::kVal);
  if (has("test")) append_part(listing, "test", FolderPart::kTest);
  return listing;
}

FolderDataset::FolderDataset(FolderListing listing, const FolderOptions& options)
    : listing_(std::move(listing)),
      preset_(options.preset),
      side_(options.side == 0 ? default_side(options.preset) : options.side),
      evaluation_(evaluation_pipeline(options.preset, side_)) {
  for (std::size_t i = 0; i < training_.size(); ++i)
    training_.at(i) = i == static_cast<std::size_t>(Augmentation::kNone)
                          ? evaluation_
                          : training_pipeline(static_cast<Augmentation>(i), side_);
  if (!options.cache.empty()) cache_ = std::make_unique<const ImageCache>(options.cache);
}

const FolderImage& FolderDataset::at(std::int64_t index) const {
  BRANCHY_DCHECK(index >= 0 && index < size());
  return listing_.images[static_cast<std::size_t>(index)];
}

std::int64_t FolderDataset::label(std::int64_t index) const { return at(index).label; }

void FolderDataset::read_through(const Pipeline& pipeline, std::int64_t index, Rng& rng,
                                 std::span<std::uint8_t> pixels) const {
  const fs::path path = listing_.root / at(index).path;
  Image image;
  if (cache_ == nullptr) {
    image = read_photo(path, pipeline);
  } else {
    const fs::path entry = cache_->entry_of(path, pipeline.fixed_description());
    if (std::optional<Image> kept = cache_->load(entry)) {
      image = std::move(*kept);
    } else {
      image = read_photo(path, pipeline);
      cache_->store(entry, image);
    }
  }
  image = pipeline.apply_random(std::move(image), rng);
  BRANCHY_DCHECK(image.height == side_ && image.width == side_ &&
                 image.pixels.size() == pixels.size());
  std::copy(image.pixels.begin(), image.pixels.end(), pixels.begin());
}

void FolderDataset::read(std::int64_t index, std::span<std::uint8_t> pixels) const {
  Rng unused(0);
  read_through(evaluation_, index, unused, pixels);
}

void FolderDataset::read_augmented(std::int64_t index, Augmentation augmentation, Rng& rng,
                                   std::span<std::uint8_t> pixels) const {
  read_through(training_.at(static_cast<std::size_t>(augmentation)), index, rng, pixels);
}

std::string FolderDataset::checksum() const {
  std::call_once(checksum_once_, [this] {
    Digest digest(DigestKind::kSha256);
    for (const FolderImage& image : listing_.images) {
      const std::string line =
          image.path + " " + file_digest(DigestKind::kSha256, listing_.root / image.path) + "\n";
      digest.update({reinterpret_cast<const std::uint8_t*>(line.data()), line.size()});
    }
    checksum_ = digest.finish();
  });
  return checksum_;
}

Normalization FolderDataset::normalization() const {
  return preset_ == Augmentation::kPacheco ? kPachecoNormalization : kImagenetNormalization;
}

std::vector<FolderDataset::Damaged> FolderDataset::find_damaged(std::int64_t threads) const {
  std::vector<Damaged> damaged;
  std::mutex mutex;  // guards damaged and failure
  std::exception_ptr failure;
  std::atomic<std::int64_t> next{0};
  const auto work = [&] {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(image_shape().size()));
    for (std::int64_t index = next++; index < size(); index = next++) {
      try {
        read(index, pixels);
      } catch (const DataError& error) {
        const std::lock_guard lock(mutex);
        damaged.push_back({.index = index, .message = error.what()});
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
        next = size();
      }
    }
  };
  {
    std::vector<std::jthread> workers;
    for (std::int64_t i = 0; i < threads; ++i) workers.emplace_back(work);
  }
  if (failure) std::rethrow_exception(failure);
  std::sort(damaged.begin(), damaged.end(),
            [](const Damaged& a, const Damaged& b) { return a.index < b.index; });
  return damaged;
}

}  // namespace branchy
