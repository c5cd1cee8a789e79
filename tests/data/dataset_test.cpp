#include "data/dataset.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/data/cifar_files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using test::expect_error;

class Cifar10 : public testing::Test {
 protected:
  [[nodiscard]] std::shared_ptr<const Dataset> open(DatasetSplit split) const {
    return open_dataset("cifar10:" + directory_.path().string(), split);
  }

  test::TemporaryDirectory directory_;
  std::filesystem::path folder_ = test::write_cifar10(directory_.path(), 20);
};

TEST_F(Cifar10, ReadsEveryFileInOrder) {
  const auto train = open(DatasetSplit::kTrain);
  EXPECT_EQ(train->size(), 100);
  EXPECT_EQ(train->image_shape(), (Shape{3, 32, 32}));
  EXPECT_EQ(train->class_names().size(), 10U);
  EXPECT_EQ(train->class_names()[9], "j");
  EXPECT_EQ(train->label(25), 5);
  std::vector<std::uint8_t> pixels(3072);
  train->read(25, pixels);
  EXPECT_EQ(pixels[0], 25);  // record 5 of data_batch_2: 20 + 5
  EXPECT_EQ(pixels[1], 26);
  EXPECT_EQ(pixels[3071], (25 + 3071) % 256);
  EXPECT_EQ(open(DatasetSplit::kTest)->size(), 20);
}

TEST_F(Cifar10, OpensTheFolderOrItsParent) {
  EXPECT_EQ(open_dataset("cifar10:" + folder_.string(), DatasetSplit::kTest)->size(), 20);
}

TEST_F(Cifar10, NormalizesByItsOwnConstants) {
  EXPECT_EQ(open(DatasetSplit::kTest)->normalization().mean, kCifar10Normalization.mean);
}

TEST_F(Cifar10, ChecksumDependsOnEveryByte) {
  const std::string before = open(DatasetSplit::kTrain)->checksum();
  EXPECT_EQ(before.size(), 64U);
  EXPECT_EQ(before, open(DatasetSplit::kTrain)->checksum());
  EXPECT_NE(before, open(DatasetSplit::kTest)->checksum());
  std::string bytes = test::cifar_records(20, 30, false, 10);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  test::write_text(folder_ / "data_batch_3.bin", bytes);
  EXPECT_NE(before, open(DatasetSplit::kTrain)->checksum());
}

TEST_F(Cifar10, NamesATruncatedFile) {
  std::filesystem::resize_file(folder_ / "data_batch_3.bin", 5 * 3073 + 100);
  expect_error<DataError>([&] { (void)open(DatasetSplit::kTrain); },
                          {"data_batch_3.bin", "15465 bytes", "record 5", "3073", "fetch"});
}

TEST_F(Cifar10, NamesAnEmptyFile) {
  std::filesystem::resize_file(folder_ / "test_batch.bin", 0);
  expect_error<DataError>([&] { (void)open(DatasetSplit::kTest); }, {"test_batch.bin", "0 bytes"});
}

TEST_F(Cifar10, NamesALabelOutOfRange) {
  std::string bytes = test::cifar_records(20, 0, false, 10);
  bytes[7 * 3073] = 11;
  test::write_text(folder_ / "data_batch_2.bin", bytes);
  expect_error<DataError>([&] { (void)open(DatasetSplit::kTrain); },
                          {"data_batch_2.bin", "record 7", "label 11", "expected 0 to 9"});
}

TEST_F(Cifar10, NamesAMissingFile) {
  std::filesystem::remove(folder_ / "data_batch_4.bin");
  expect_error<IoError>([&] { (void)open(DatasetSplit::kTrain); },
                        {"data_batch_4.bin", "No such file", "fetch"});
  std::filesystem::remove(folder_ / "batches.meta.txt");
  expect_error<IoError>([&] { (void)open(DatasetSplit::kTest); }, {"batches.meta.txt"});
}

TEST_F(Cifar10, NamesAWrongNumberOfClassNames) {
  test::write_text(folder_ / "batches.meta.txt", "a\nb\n");
  expect_error<DataError>([&] { (void)open(DatasetSplit::kTest); },
                          {"batches.meta.txt", "2 class names", "expected 10"});
  test::write_text(folder_ / "batches.meta.txt", std::string(100'000, 'x'));
  expect_error<DataError>([&] { (void)open(DatasetSplit::kTest); }, {"line 1", "100000 bytes"});
}

TEST(OpenDataset, NamesADirectoryWithoutData) {
  const test::TemporaryDirectory directory;
  expect_error<IoError>(
      [&] { (void)open_dataset("cifar10:" + directory.path().string(), DatasetSplit::kTrain); },
      {directory.path().string(), "data_batch_1.bin", "branchy data fetch cifar10"});
  expect_error<IoError>([] { (void)open_dataset("cifar10:/absent", DatasetSplit::kTrain); },
                        {"/absent"});
}

TEST(OpenDataset, NamesAnUnknownForm) {
  for (const char* spec : {"", "cifar10", "cifar10:", "mnist:/data", ":x"})
    expect_error<ConfigError>([&] { (void)open_dataset(spec, DatasetSplit::kTest); },
                              {"expected cifar10:DIR"});
}

class Cifar100 : public testing::Test {
 protected:
  Cifar100() {
    std::filesystem::create_directories(folder_);
    test::write_text(folder_ / "train.bin", test::cifar_records(150, 0, true, 100));
    test::write_text(folder_ / "test.bin", test::cifar_records(100, 7, true, 100));
    std::string names;
    for (int i = 0; i < 100; ++i) names += "name" + std::to_string(i) + "\n";
    test::write_text(folder_ / "fine_label_names.txt", names);
  }
  [[nodiscard]] std::shared_ptr<const Dataset> open() const {
    return open_dataset("cifar100:" + directory_.path().string(), DatasetSplit::kTrain);
  }

  test::TemporaryDirectory directory_;
  std::filesystem::path folder_ = directory_ / "cifar-100-binary";
};

TEST_F(Cifar100, ReadsTheFineLabel) {
  const auto train = open();
  EXPECT_EQ(train->size(), 150);
  EXPECT_EQ(train->label(57), 57);
  EXPECT_EQ(train->class_names()[57], "name57");
  std::vector<std::uint8_t> pixels(3072);
  train->read(1, pixels);
  EXPECT_EQ(pixels[0], 1);
}

TEST_F(Cifar100, NamesACoarseAndAFineLabelOutOfRange) {
  std::string bytes = test::cifar_records(3, 0, true, 100);
  bytes[3074] = 20;
  test::write_text(folder_ / "train.bin", bytes);
  expect_error<DataError>([&] { (void)open(); }, {"record 1", "coarse label 20", "0 to 19"});
  bytes[3074] = 19;
  bytes[3075] = 100;
  test::write_text(folder_ / "train.bin", bytes);
  expect_error<DataError>([&] { (void)open(); }, {"record 1", "the label 100", "0 to 99"});
}

TEST(Subset, ReadsThroughItsIndices) {
  const test::TemporaryDirectory directory;
  test::write_cifar10(directory.path(), 10);
  const auto base = open_dataset("cifar10:" + directory.path().string(), DatasetSplit::kTrain);
  const Subset subset(base, {42, 3});
  EXPECT_EQ(subset.size(), 2);
  EXPECT_EQ(subset.label(0), 2);
  EXPECT_EQ(subset.label(1), 3);
  std::vector<std::uint8_t> pixels(3072);
  subset.read(0, pixels);
  EXPECT_EQ(pixels[0], 52);
  EXPECT_EQ(subset.checksum(), base->checksum());
  expect_error<ConfigError>([&] { Subset(base, {0, 50}); }, {"index 50", "50 images"});
  expect_error<ConfigError>([&] { Subset(base, {-1}); }, {"index -1"});
}

}  // namespace
}  // namespace branchy
