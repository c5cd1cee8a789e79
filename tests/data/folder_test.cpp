#include "data/folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/error.h"
#include "data/image_cache.h"
#include "data/loader.h"
#include "tests/data/photo_files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using test::expect_error;
namespace fs = std::filesystem;

const FolderOptions kSmall = {.side = 16, .preset = Augmentation::kImagenet, .cache = {}};

std::vector<std::uint8_t> read(const Dataset& dataset, std::int64_t index) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(dataset.image_shape().size()));
  dataset.read(index, pixels);
  return pixels;
}

TEST(ListFolder, ClassesAndFilesAreInTorchvisionsOrder) {
  const test::TemporaryDirectory root;
  for (const char* name : {"b/z.PPM", "b/a.jpeg", "b/sub/a.png", "B/one.webp", "b/readme.txt",
                           "a/x.bmp", ".hidden/x.png", "loose.png"})
    test::write_file(root / name, "x");
  const FolderListing listing = list_folder(root.path());
  EXPECT_EQ(listing.class_names, (std::vector<std::string>{"B", "a", "b"}));
  std::vector<std::string> paths;
  std::vector<std::int64_t> labels;
  for (const FolderImage& image : listing.images) {
    paths.push_back(image.path);
    labels.push_back(image.label);
  }
  EXPECT_EQ(paths, (std::vector<std::string>{"B/one.webp", "a/x.bmp", "b/a.jpeg", "b/z.PPM",
                                             "b/sub/a.png"}));
  EXPECT_EQ(labels, (std::vector<std::int64_t>{0, 1, 2, 2, 2}));
}

TEST(ListFolder, HonoursPartFolders) {
  const test::TemporaryDirectory root;
  for (const char* part : {"train", "val", "test"}) test::write_photos(root / part, 2, 3);
  const FolderListing listing = list_folder(root.path());
  ASSERT_EQ(listing.images.size(), 18U);
  EXPECT_EQ(listing.class_names, (std::vector<std::string>{"1.a", "2.b"}));
  EXPECT_EQ(listing.images[0].part, FolderPart::kTrain);
  EXPECT_EQ(listing.images[6].part, FolderPart::kVal);
  EXPECT_EQ(listing.images[17].part, FolderPart::kTest);
  EXPECT_EQ(listing.images[17].path, "test/2.b/image102.ppm");
}

TEST(ListFolder, RefusesFoldersThatAreNoClasses) {
  const test::TemporaryDirectory root;
  expect_error<IoError>([&] { (void)list_folder(root / "absent"); }, {"absent"});
  test::write_photos(root / "one", 1, 2);
  expect_error<DataError>([&] { (void)list_folder(root / "one"); }, {"1 class directories"});
  fs::create_directories(root / "one/2.empty");
  expect_error<DataError>([&] { (void)list_folder(root / "one"); },
                          {"2.empty", "a class without images"});
  test::write_photos(root / "parts/train", 3, 1);
  test::write_photos(root / "parts/val", 2, 1);
  expect_error<DataError>([&] { (void)list_folder(root / "parts"); }, {"val", "'3.c'"});
}

TEST(ListFolder, ALinkToItselfIsNoDirectory) {
  const test::TemporaryDirectory root;
  test::write_photos(root.path(), 2, 2);
  fs::create_symlink("loop", root / "loop");
  fs::create_symlink("loop.ppm", root / "1.a/loop.ppm");
  const FolderListing listing = list_folder(root.path());
  EXPECT_EQ(listing.class_names.size(), 2U);
  ASSERT_EQ(listing.images.size(), 5U);
  expect_error<IoError>([&] { (void)read_image(root / listing.images[2].path); }, {"loop.ppm"});
}

TEST(ListFolder, RefusesNamesWithALineBreak) {
  const test::TemporaryDirectory root;
  test::write_photos(root.path(), 2, 2);
  test::write_file(root / "1.a/two\nlines.ppm", test::photo_ppm(4, 4, 1));
  expect_error<DataError>([&] { (void)list_folder(root.path()); }, {"1.a", "line break"});
}

TEST(FolderDataset, AnImageTooNarrowToResizeIsDamaged) {
  const test::TemporaryDirectory root;
  test::write_photos(root.path(), 2, 2);
  test::write_file(root / "1.a/narrow.ppm", test::photo_ppm(1, 9000, 1));
  const FolderDataset dataset(list_folder(root.path()), kSmall);
  const auto damaged = dataset.find_damaged(1);
  ASSERT_EQ(damaged.size(), 1U);
  EXPECT_NE(damaged[0].message.find("narrow.ppm] 9000x1 pixels"), std::string::npos)
      << damaged[0].message;
}

TEST(FolderDataset, GivesSquaresOfOneSize) {
  const test::TemporaryDirectory root;
  test::write_photos(root.path(), 2, 8);
  const FolderDataset dataset(list_folder(root.path()), kSmall);
  EXPECT_EQ(dataset.size(), 16);
  EXPECT_EQ(dataset.image_shape(), (Shape{3, 16, 16}));
  EXPECT_EQ(dataset.label(8), 1);
  Rng unused(0);
  const Image image = read_image(root / "1.a/image103.ppm");
  EXPECT_EQ(read(dataset, 3),
            evaluation_pipeline(Augmentation::kImagenet, 16).apply(image, unused).pixels);
  EXPECT_EQ(dataset.checksum().size(), 64U);
  const FolderDataset at_default(list_folder(root.path()), {});
  EXPECT_EQ(at_default.image_shape(), (Shape{3, 224, 224}));
}

TEST(FolderDataset, AugmentsByTheGeneratorAlone) {
  const test::TemporaryDirectory root;
  test::write_photos(root.path(), 2, 2);
  const FolderDataset dataset(list_folder(root.path()), kSmall);
  for (const auto preset :
       {Augmentation::kCropFlip, Augmentation::kPacheco, Augmentation::kImagenet}) {
    std::vector<std::uint8_t> a(3 * 16 * 16);
    std::vector<std::uint8_t> b(a.size());
    bool differs = false;
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      Rng first({seed, 3});
      Rng second({seed, 3});
      Rng other({seed, 4});
      dataset.read_augmented(1, preset, first, a);
      dataset.read_augmented(1, preset, second, b);
      EXPECT_EQ(a, b);
      dataset.read_augmented(1, preset, other, b);
      differs = differs || a != b;
    }
    EXPECT_TRUE(differs);
  }
  std::vector<std::uint8_t> plain(3 * 16 * 16);
  Rng rng(1);
  dataset.read_augmented(1, Augmentation::kNone, rng, plain);
  EXPECT_EQ(plain, read(dataset, 1));
}

std::vector<float> epoch_of(const std::shared_ptr<const Dataset>& dataset, std::int64_t threads) {
  Loader loader(dataset, {.batch = 5,
                          .threads = threads,
                          .seed = 3,
                          .shuffle = true,
                          .augmentation = Augmentation::kPacheco});
  std::vector<float> values;
  loader.start_epoch(1);
  while (const auto batch = loader.next())
    values.insert(values.end(), batch->images.data().begin(), batch->images.data().end());
  return values;
}

TEST(FolderDataset, LoadsTheSameAtAnyNumberOfThreadsWithAndWithoutCache) {
  const test::TemporaryDirectory root;
  test::write_photos(root / "photos", 3, 6);
  FolderOptions options = kSmall;
  const auto plain =
      epoch_of(std::make_shared<const FolderDataset>(list_folder(root / "photos"), options), 1);
  EXPECT_EQ(plain.size(), 18U * 3 * 16 * 16);
  options.cache = root / "cache";
  const auto cached = std::make_shared<const FolderDataset>(list_folder(root / "photos"), options);
  EXPECT_EQ(epoch_of(cached, 4), plain);
  EXPECT_EQ(epoch_of(cached, 2), plain);
}

TEST(FolderDataset, ADamagedFileStopsWithItsPath) {
  const test::TemporaryDirectory root;
  test::write_photos(root.path(), 2, 4);
  test::write_file(root / "1.a/image101.ppm", "");
  test::write_file(root / "2.b/image102.ppm", "just text");
  const auto dataset = std::make_shared<const FolderDataset>(list_folder(root.path()), kSmall);
  Loader loader(dataset, {.batch = 1});
  loader.start_epoch(0);
  (void)loader.next();
  expect_error<DataError>([&] { (void)loader.next(); }, {"1.a/image101.ppm", "empty"});
  const auto damaged = dataset->find_damaged(3);
  ASSERT_EQ(damaged.size(), 2U);
  EXPECT_EQ(damaged[0].index, 1);
  EXPECT_EQ(damaged[1].index, 6);
  EXPECT_NE(damaged[1].message.find("2.b/image102.ppm"), std::string::npos);
}

Image sample_image() { return {.height = 2, .width = 1, .pixels = {1, 2, 3, 4, 5, 6}}; }

TEST(ImageCache, AnEntryDependsOnFileAndTransforms) {
  const test::TemporaryDirectory root;
  const ImageCache cache(root / "cache");
  const fs::path file = root / "x.ppm";
  test::write_file(file, "abc");
  const auto entry = cache.entry_of(file, "resize");
  EXPECT_EQ(cache.entry_of(file, "resize"), entry);
  EXPECT_NE(cache.entry_of(file, "crop"), entry);
  const auto time = fs::last_write_time(file);
  fs::last_write_time(file, time + std::chrono::seconds(1));
  EXPECT_NE(cache.entry_of(file, "resize"), entry);
  fs::last_write_time(file, time);
  EXPECT_EQ(cache.entry_of(file, "resize"), entry);
  test::write_file(file, "abcd");
  fs::last_write_time(file, time);
  EXPECT_NE(cache.entry_of(file, "resize"), entry);
  expect_error<IoError>([&] { (void)cache.entry_of(root / "absent", "resize"); }, {"absent"});
}

TEST(ImageCache, TakesADamagedEntryForAbsent) {
  const test::TemporaryDirectory root;
  const ImageCache cache(root / "cache");
  const fs::path entry = root / "cache/ab/entry.img";
  EXPECT_FALSE(cache.load(entry).has_value());
  cache.store(entry, sample_image());
  EXPECT_EQ(cache.load(entry)->pixels, sample_image().pixels);
  std::ifstream stream(entry, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(stream)), {});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    test::write_file(entry, whole.substr(0, length));
    EXPECT_FALSE(cache.load(entry).has_value()) << length;
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 64);
    test::write_file(entry, damaged);
    EXPECT_FALSE(cache.load(entry).has_value()) << at;
  }
}

TEST(ImageCache, ManyWritersLeaveAWholeEntry) {
  const test::TemporaryDirectory root;
  const fs::path entry = root / "cache/ab/entry.img";
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 4; ++i)
      writers.emplace_back([&] {
        const ImageCache cache(root / "cache");
        for (int round = 0; round < 50; ++round) cache.store(entry, sample_image());
      });
  }
  EXPECT_EQ(ImageCache(root / "cache").load(entry)->pixels, sample_image().pixels);
  EXPECT_EQ(std::distance(fs::directory_iterator(root / "cache/ab"), fs::directory_iterator()), 1);
  expect_error<IoError>([] { const ImageCache cache("/proc/branchy"); }, {"/proc/branchy"});
}

}  // namespace
}  // namespace branchy
