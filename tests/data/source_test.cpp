#include "data/source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "tests/data/cifar_files.h"
#include "tests/data/photo_files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using test::expect_error;

std::string spec_of(const test::TemporaryDirectory& root) {
  return "folder:" + root.path().string();
}

DataOptions small(std::int64_t val_count = -1, std::uint64_t seed = 1) {
  return {.val_count = val_count,
          .seed = seed,
          .folder = {.side = 8, .preset = Augmentation::kImagenet}};
}

FolderListing listing_of(const std::vector<int>& sizes) {
  FolderListing listing{.root = "root", .class_names = {}, .images = {}};
  for (std::size_t label = 0; label < sizes.size(); ++label) {
    listing.class_names.push_back(std::to_string(label));
    for (int i = 0; i < sizes[label]; ++i)
      listing.images.push_back({.path = std::to_string(label) + "/" + std::to_string(i),
                                .label = static_cast<std::int64_t>(label)});
  }
  return listing;
}

std::map<std::int64_t, int> classes_of(const FolderListing& listing,
                                       const std::vector<std::int64_t>& positions) {
  std::map<std::int64_t, int> counts;
  for (const std::int64_t position : positions)
    ++counts[listing.images[static_cast<std::size_t>(position)].label];
  return counts;
}

TEST(SplitPhotos, CleanIsStratifiedDisjointAndBySeed) {
  const FolderListing listing = listing_of({80, 80, 40});
  const PhotoSplit split = split_photos(listing, {.seed = 4});
  EXPECT_EQ(split.name, "clean");
  EXPECT_EQ(classes_of(listing, split.test), (std::map<std::int64_t, int>{{0, 8}, {1, 8}, {2, 4}}));
  EXPECT_EQ(split.validation.size(), 18U);
  EXPECT_EQ(split.train.size(), 162U);
  std::set<std::int64_t> all;
  for (const auto* part : {&split.train, &split.validation, &split.test}) {
    EXPECT_TRUE(std::is_sorted(part->begin(), part->end()));
    all.insert(part->begin(), part->end());
  }
  EXPECT_EQ(all.size(), 200U);
  EXPECT_EQ(split_photos(listing, {.seed = 4}).test, split.test);
  EXPECT_NE(split_photos(listing, {.seed = 5}).test, split.test);
  EXPECT_EQ(split_photos(listing, {.val_count = 18, .seed = 4}).validation, split.validation);
}

TEST(SplitPhotos, EveryClassKeepsAnImage) {
  const FolderListing listing = listing_of({2, 2, 30});
  const PhotoSplit split = split_photos(listing, {.val_count = 20, .seed = 1});
  EXPECT_EQ(classes_of(listing, split.train).size(), 3U);
  expect_error<ConfigError>([&] { (void)split_photos(listing, {.val_count = 34}); },
                            {"34 of 31 images", "--val"});
}

TEST(SplitPhotos, AsPublishedLeaksAsTheAuthorsIndicesDo) {
  // Caltech-256's 30,607 images: 3,060 for testing, 2,754 for validation; about 2,479 of the test
  // images are trained on (2,474 in the published files), about 275 validate (258).
  const FolderListing listing = listing_of({15000, 15607});
  const PhotoSplit split = split_photos(listing, {.mode = SplitMode::kAsPublished, .seed = 1});
  EXPECT_EQ(split.test.size(), 3060U);
  EXPECT_EQ(split.validation.size(), 2754U);
  EXPECT_EQ(split.train.size(), 24793U);
  const std::set<std::int64_t> trained(split.train.begin(), split.train.end());
  const auto leaked = std::count_if(split.test.begin(), split.test.end(),
                                    [&](std::int64_t at) { return trained.contains(at); });
  EXPECT_NEAR(static_cast<double>(leaked), 2479, 80);
  EXPECT_LT(split.train.back(), 27547);
  EXPECT_NE(split.description.find("LEAKY"), std::string::npos);
  EXPECT_NE(split.description.find(std::to_string(leaked)), std::string::npos);
  expect_error<ConfigError>(
      [&] { (void)split_photos(listing, {.mode = SplitMode::kAsPublished, .val_count = 5}); },
      {"as-published", "2754"});
  expect_error<ConfigError>([] { (void)parse_split_mode("leaky"); }, {"leaky", "as-published"});
}

TEST(SplitPhotos, TestListNamesTheTestImages) {
  const test::TemporaryDirectory root;
  const FolderListing listing = listing_of({20, 20});
  const auto file = root / "test.txt";
  const PhotoSplitOptions options{.test_list = file, .seed = 1};
  test::write_file(file, "# test\n1/3\r\n\n0/19\n");
  const PhotoSplit split = split_photos(listing, options);
  EXPECT_EQ(split.test, (std::vector<std::int64_t>{19, 23}));
  EXPECT_EQ(split.train.size() + split.validation.size(), 38U);
  EXPECT_EQ(split.name, "test-list");
  const std::string lines = to_lines(listing, split);
  test::write_file(file, "0/19\n1/3\n");
  EXPECT_EQ(to_lines(listing, split_photos(listing, options)), lines);
  const PhotoSplitOptions recorded{.test_paths = {"0/19", "1/3"}, .seed = 1};
  EXPECT_EQ(to_lines(listing, split_photos(listing, recorded)), lines);
  expect_error<DataError>([&] { (void)split_photos(listing, {.test_paths = {"9/9"}}); },
                          {"test list of the model", "'9/9'"});
  test::write_file(file, "0/18\n1/3\n");
  EXPECT_NE(to_lines(listing, split_photos(listing, options)), lines);
  test::write_file(file, "1/3\n\n1/3\n");
  expect_error<DataError>([&] { (void)split_photos(listing, options); }, {"line 3", "before"});
  test::write_file(file, "1/3\n7/3\n");
  expect_error<DataError>([&] { (void)split_photos(listing, options); }, {"line 2", "'7/3'"});
  test::write_file(file, "# none\n");
  expect_error<DataError>([&] { (void)split_photos(listing, options); }, {"no image"});
  expect_error<IoError>([&] { (void)split_photos(listing, {.test_list = root / "absent"}); },
                        {"absent"});
}

TEST(SplitPhotos, AllTestsEveryImageOfAnyListing) {
  FolderListing listing = listing_of({1, 2});
  EXPECT_EQ(split_photos(listing, {.mode = SplitMode::kAll}).test,
            (std::vector<std::int64_t>{0, 1, 2}));
  for (FolderImage& image : listing.images) image.part = FolderPart::kTrain;
  EXPECT_EQ(split_photos(listing, {.mode = SplitMode::kAll}).test.size(), 3U);
  expect_error<ConfigError>(
      [&] { (void)split_photos(listing, {.mode = SplitMode::kAll, .test_paths = {"0/0"}}); },
      {"--test-list"});
}

TEST(DataSource, OpensAFolder) {
  const test::TemporaryDirectory root;
  test::write_photos(root.path(), 3, 20);
  DataSource source(spec_of(root), small());
  EXPECT_EQ(source.test()->size(), 6);
  EXPECT_EQ(source.validation()->size(), 5);
  EXPECT_EQ(source.val_count(), 5);
  EXPECT_EQ(source.train()->size(), 49);
  EXPECT_EQ(source.split_record().size(), 6U + 64);
  EXPECT_TRUE(source.split_record().starts_with("clean:"));
  EXPECT_EQ(DataSource(spec_of(root), small()).split_record(), source.split_record());
  EXPECT_NE(DataSource(spec_of(root), small(4)).split_record(), source.split_record());
  EXPECT_EQ(source.transforms_record(), "imagenet 8");
  EXPECT_TRUE(source.test_list_record().empty());
  const std::string lines = source.split_lines();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 60);
  EXPECT_EQ(DataSource(spec_of(root), small(0)).validation(), nullptr);
}

TEST(DataSource, PartFoldersAreTheSplit) {
  const test::TemporaryDirectory root;
  test::write_photos(root / "train", 2, 20);
  test::write_photos(root / "val", 2, 3);
  DataSource two(spec_of(root), small());
  EXPECT_EQ(two.test()->size(), 6);  // val tests, validation comes out of train
  EXPECT_EQ(two.validation()->size(), 4);
  test::write_photos(root / "test", 2, 5);
  DataSource three(spec_of(root), small());
  EXPECT_EQ(three.test()->size(), 10);
  EXPECT_EQ(three.validation()->size(), 6);
  EXPECT_EQ(three.train()->size(), 40);
  EXPECT_TRUE(three.split_record().starts_with("folders:"));
  DataOptions leaky = small();
  leaky.split = SplitMode::kAsPublished;
  expect_error<ConfigError>([&] { DataSource(spec_of(root), leaky); }, {"--split"});
}

TEST(DataSource, LeavesOutDamagedImagesOnlyWhenAsked) {
  const test::TemporaryDirectory root;
  test::write_photos(root.path(), 2, 20);
  DataSource before(spec_of(root), small());
  test::write_file(root / "1.a/image107.ppm", "no image");
  DataOptions options = small();
  options.skip_corrupt = true;
  options.threads = 2;
  DataSource source(spec_of(root), options);
  ASSERT_EQ(source.left_out().size(), 1U);
  EXPECT_NE(source.left_out()[0].find("1.a/image107.ppm"), std::string::npos);
  EXPECT_EQ(source.train()->size() + source.validation()->size() + source.test()->size(), 39);
  EXPECT_NE(source.description().find("1 damaged left out"), std::string::npos);
  EXPECT_EQ(source.val_count(), before.val_count());
  EXPECT_EQ(source.split_record(), before.split_record());
  EXPECT_TRUE(DataSource(spec_of(root), small()).left_out().empty());
}

TEST(DataSource, OpensCifarAsBefore) {
  const test::TemporaryDirectory root;
  test::write_cifar10(root.path(), 20);
  const std::string spec = "cifar10:" + root.path().string();
  DataSource source(spec, {.val_count = 10, .seed = 2});
  EXPECT_EQ(source.train()->size(), 90);
  EXPECT_EQ(source.validation()->size(), 10);
  EXPECT_EQ(source.test()->size(), 20);
  EXPECT_EQ(source.split_record() + source.transforms_record() + source.description(), "");
  expect_error<ConfigError>([&] { DataSource(spec, {.val_count = 10, .skip_corrupt = true}); },
                            {"--skip-corrupt", "folder:DIR"});
  expect_error<ConfigError>([] { (void)DataSource("folder:", {}).train(); }, {"folder:"});
}

}  // namespace
}  // namespace branchy
