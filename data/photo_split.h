// Which photographs train, which validate and which test.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/folder.h"

namespace branchy {

/// kClean: test and validation images are drawn by seed, the same share of every class, and no
/// image is in two parts. kAsPublished: the split of the code of Pacheco et al., which LEAKS: its
/// training and validation indices were drawn from positions of the images left after the test set
/// was taken, but applied to all images, so most test images are training images too. Only to
/// compare with their figures; another seed gives another such split, theirs is not reproduced.
/// kAll: every image tests, to evaluate on a folder of its own.
enum class SplitMode { kClean, kAsPublished, kAll };

/// "clean" or "as-published", what one can train on; throws ConfigError otherwise.
[[nodiscard]] SplitMode parse_split_mode(std::string_view name);

struct PhotoSplitOptions {
  SplitMode mode = SplitMode::kClean;
  /// A file with one path below the root a line (blank lines and those with # are comments): these
  /// are the test images, instead of a tenth by seed.
  std::filesystem::path test_list = {};
  /// The same as a model file recorded it; for use without `test_list`.
  std::vector<std::string> test_paths = {};
  std::int64_t val_count = -1;  ///< validation images; -1: a tenth of what the test set leaves
  std::uint64_t seed = 0;
};

/// Ascending positions in the listing.
struct PhotoSplit {
  std::vector<std::int64_t> train, validation, test;
  std::string name;         ///< "clean", "as-published", "folders", "test-list" or "all"
  std::string description;  ///< for people, with counts and, where there is one, the leak
};

/// With part folders, `train` trains and `test` tests; validation is `val`, or else drawn from
/// `train`. Without `test`, `val` tests. Throws ConfigError for a count that leaves a class nothing
/// to train on or options that exclude each other; DataError for a test list with an unknown or
/// repeated path.
[[nodiscard]] PhotoSplit split_photos(const FolderListing& listing,
                                      const PhotoSplitOptions& options);

/// One line for each image, part by part: "train", "val" or "test", tab, path.
[[nodiscard]] std::string to_lines(const FolderListing& listing, const PhotoSplit& split);

/// Draws `count` of `positions` by seed, from each class its share (largest remainders first, then
/// lower labels) but never all of it. Both lists are ascending. Throws ConfigError when there are
/// too few.
struct DrawnPositions {
  std::vector<std::int64_t> drawn, left;
};
[[nodiscard]] DrawnPositions draw_stratified(const FolderListing& listing,
                                             const std::vector<std::int64_t>& positions,
                                             std::int64_t count, std::uint64_t seed);

}  // namespace branchy
