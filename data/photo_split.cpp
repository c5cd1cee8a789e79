#include "data/photo_split.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/rng.h"

namespace branchy {

namespace {

// Streams apart from those of the loader under the same seed.
constexpr std::uint64_t kTestStream = 0x74657374ULL;          // "test"
constexpr std::uint64_t kValidationStream = 0x76616C6964ULL;  // "valid"
constexpr std::uint64_t kPublishedStream = 0x6C65616BULL;     // "leak"
constexpr std::int64_t kShare = 10;  // one in ten tests, and one in ten of the rest validates

using Positions = std::vector<std::int64_t>;

Positions positions_of(const FolderListing& listing, FolderPart part) {
  Positions positions;
  for (std::size_t i = 0; i < listing.images.size(); ++i)
    if (listing.images[i].part == part) positions.push_back(static_cast<std::int64_t>(i));
  return positions;
}

/// How many of each class are drawn.
std::vector<std::int64_t> shares_of(const std::vector<Positions>& classes, std::int64_t total,
                                    std::int64_t count) {
  std::vector<std::int64_t> shares;
  std::vector<std::pair<std::int64_t, std::size_t>> remainders;  // negative, so that large is first
  std::int64_t left = count;
  for (std::size_t label = 0; label < classes.size(); ++label) {
    const std::int64_t product = count * std::ssize(classes[label]);
    shares.push_back(product / total);
    remainders.emplace_back(-(product % total), label);
    left -= shares.back();
  }
  std::sort(remainders.begin(), remainders.end());
  for (std::size_t i = 0; left > 0; ++i) {
    const std::size_t label = remainders[i % remainders.size()].second;
    if (shares[label] + 1 >= std::ssize(classes[label])) continue;
    ++shares[label];
    --left;
  }
  return shares;
}

/// Moves `count` validation images out of `split.train`.
void draw_validation(const FolderListing& listing, const PhotoSplitOptions& options,
                     PhotoSplit& split) {
  const std::int64_t count =
      options.val_count < 0 ? std::ssize(split.train) / kShare : options.val_count;
  DrawnPositions drawn = draw_stratified(listing, split.train, count,
                                         Rng({kValidationStream, options.seed}).next_u64());
  split.train = std::move(drawn.left);
  split.validation = std::move(drawn.drawn);
}

bool has_test_list(const PhotoSplitOptions& options) {
  return !options.test_list.empty() || !options.test_paths.empty();
}

PhotoSplit split_by_folders(const FolderListing& listing, const PhotoSplitOptions& options) {
  if (options.mode != SplitMode::kClean || has_test_list(options))
    throw ConfigError(
        fmt::format("[{}] has folders train and val or test, which are the split; leave out "
                    "--split and --test-list",
                    listing.root.string()));
  PhotoSplit split{.train = positions_of(listing, FolderPart::kTrain),
                   .validation = positions_of(listing, FolderPart::kVal),
                   .test = positions_of(listing, FolderPart::kTest),
                   .name = "folders",
                   .description = "by folders"};
  if (split.test.empty()) split.test.swap(split.validation);
  if (options.val_count == 0)
    split.validation.clear();
  else if (split.validation.empty())
    draw_validation(listing, options, split);
  return split;
}

PhotoSplit split_all(const FolderListing& listing, const PhotoSplitOptions& options) {
  if (has_test_list(options))
    throw ConfigError("[split] --split all takes every image; leave out --test-list");
  PhotoSplit split{
      .train = {}, .validation = {}, .test = {}, .name = "all", .description = "all images test"};
  for (std::int64_t i = 0; i < std::ssize(listing.images); ++i) split.test.push_back(i);
  return split;
}

PhotoSplit split_as_published(const FolderListing& listing, const PhotoSplitOptions& options) {
  const std::int64_t size = std::ssize(listing.images);
  const std::int64_t num_test = size / kShare;
  const std::int64_t num_left = size - num_test;
  const std::int64_t num_validation = num_left / kShare;
  if (num_test == 0 || num_validation == 0 || has_test_list(options) ||
      (options.val_count >= 0 && options.val_count != num_validation))
    throw ConfigError(
        fmt::format("[{}] the as-published split of {} images has {} for testing and {} for "
                    "validation; leave out --val and --test-list",
                    listing.root.string(), size, num_test, num_validation));
  PhotoSplit split{
      .train = {}, .validation = {}, .test = {}, .name = "as-published", .description = {}};
  Rng rng({kPublishedStream, options.seed});
  const Positions all = rng.permutation(size);
  // The published mistake: positions among the images left, used as positions among all.
  const Positions left = rng.permutation(num_left);
  split.test.assign(all.begin(), all.begin() + num_test);
  split.validation.assign(left.begin(), left.begin() + num_validation);
  split.train.assign(left.begin() + num_validation, left.end());
  for (Positions* part : {&split.train, &split.validation, &split.test})
    std::sort(part->begin(), part->end());
  Positions trained;
  Positions validated;
  std::set_intersection(split.test.begin(), split.test.end(), split.train.begin(),
                        split.train.end(), std::back_inserter(trained));
  std::set_intersection(split.test.begin(), split.test.end(), split.validation.begin(),
                        split.validation.end(), std::back_inserter(validated));
  split.description = fmt::format(
      "as published by Pacheco et al., LEAKY: of {} test images {} are training and {} validation "
      "images; test figures are not of unseen images",
      num_test, trained.size(), validated.size());
  return split;
}

/// A path that tests, and where it was named.
struct NamedPath {
  std::string path, place;
};

std::vector<NamedPath> read_test_list(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream)
    throw IoError(fmt::format("[{}] cannot read the test list; check --test-list", file.string()));
  std::vector<NamedPath> paths;
  std::int64_t number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.starts_with('#')) continue;
    paths.push_back({.path = line, .place = fmt::format("{} line {}", file.string(), number)});
  }
  if (paths.empty())
    throw DataError(fmt::format("[{}] names no image; write one path a line", file.string()));
  return paths;
}

std::vector<NamedPath> named_paths(const PhotoSplitOptions& options) {
  if (!options.test_list.empty()) return read_test_list(options.test_list);
  std::vector<NamedPath> paths;
  for (const std::string& path : options.test_paths)
    paths.push_back({.path = path, .place = "test list of the model"});
  return paths;
}

/// Ascending positions of the images that the list names.
Positions listed_positions(const FolderListing& listing, const PhotoSplitOptions& options) {
  std::map<std::string, std::int64_t> known;
  for (std::size_t i = 0; i < listing.images.size(); ++i)
    known[listing.images[i].path] = static_cast<std::int64_t>(i);
  std::set<std::int64_t> chosen;
  for (const auto& [path, place] : named_paths(options)) {
    const auto found = known.find(path);
    if (found == known.end())
      throw DataError(fmt::format("[{}] '{}' is no image below {}; write paths such as '{}'", place,
                                  path, listing.root.string(), listing.images.front().path));
    if (!chosen.insert(found->second).second)
      throw DataError(fmt::format("[{}] '{}' came before; name every image once", place, path));
  }
  return {chosen.begin(), chosen.end()};
}

}  // namespace

SplitMode parse_split_mode(std::string_view name) {
  if (name == "clean") return SplitMode::kClean;
  if (name == "as-published") return SplitMode::kAsPublished;
  throw ConfigError(fmt::format(
      "[split] --split '{}', expected clean or as-published (leaky, of Pacheco et al.)", name));
}

DrawnPositions draw_stratified(const FolderListing& listing, const Positions& positions,
                               std::int64_t count, std::uint64_t seed) {
  std::vector<Positions> classes(listing.class_names.size());
  for (const std::int64_t position : positions)
    classes[static_cast<std::size_t>(listing.images[static_cast<std::size_t>(position)].label)]
        .push_back(position);
  std::int64_t most = 0;
  for (const Positions& members : classes)
    most += std::max<std::int64_t>(std::ssize(members) - 1, 0);
  if (count < 0 || count > most)
    throw ConfigError(
        fmt::format("[split] {} of {} images, expected 0 to {} so that every class keeps one; "
                    "choose another --val",
                    count, positions.size(), most));
  DrawnPositions result;
  if (count == 0) return {.drawn = {}, .left = positions};
  const auto shares = shares_of(classes, std::ssize(positions), count);
  for (std::size_t label = 0; label < classes.size(); ++label) {
    const Positions order = Rng({seed, label}).permutation(std::ssize(classes[label]));
    for (std::size_t i = 0; i < order.size(); ++i)
      (static_cast<std::int64_t>(i) < shares[label] ? result.drawn : result.left)
          .push_back(classes[label][static_cast<std::size_t>(order[i])]);
  }
  std::sort(result.drawn.begin(), result.drawn.end());
  std::sort(result.left.begin(), result.left.end());
  return result;
}

std::string to_lines(const FolderListing& listing, const PhotoSplit& split) {
  std::string lines;
  const auto append = [&](const char* part, const Positions& positions) {
    for (const std::int64_t position : positions)
      lines +=
          fmt::format("{}\t{}\n", part, listing.images[static_cast<std::size_t>(position)].path);
  };
  append("train", split.train);
  append("val", split.validation);
  append("test", split.test);
  return lines;
}

PhotoSplit split_photos(const FolderListing& listing, const PhotoSplitOptions& options) {
  if (options.mode == SplitMode::kAll) return split_all(listing, options);
  if (listing.images.front().part != FolderPart::kAny) return split_by_folders(listing, options);
  if (options.mode == SplitMode::kAsPublished) return split_as_published(listing, options);
  const Positions all = positions_of(listing, FolderPart::kAny);
  PhotoSplit split{.train = {},
                   .validation = {},
                   .test = {},
                   .name = "clean",
                   .description = fmt::format("clean, by seed {}", options.seed)};
  if (!has_test_list(options)) {
    DrawnPositions drawn = draw_stratified(listing, all, std::ssize(all) / kShare,
                                           Rng({kTestStream, options.seed}).next_u64());
    split.test = std::move(drawn.drawn);
    split.train = std::move(drawn.left);
    if (split.test.empty())
      throw ConfigError(fmt::format("[{}] {} images, too few to test on a tenth; give --test-list",
                                    listing.root.string(), all.size()));
  } else {
    split.test = listed_positions(listing, options);
    split.name = "test-list";
    split.description = fmt::format("clean, {} test images of a list, the rest by seed {}",
                                    split.test.size(), options.seed);
    std::set_difference(all.begin(), all.end(), split.test.begin(), split.test.end(),
                        std::back_inserter(split.train));
  }
  draw_validation(listing, options, split);
  return split;
}

}  // namespace branchy
