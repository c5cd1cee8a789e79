// Tiny CIFAR-10 and CIFAR-100 folders for tests: record r of a file is filled with one value.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace branchy::test {

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// `records` records whose label is r % classes; pixel p of record r is (first + r + p) mod 256.
inline std::string cifar_records(int records, int first, bool coarse, int classes) {
  std::string bytes;
  for (int r = 0; r < records; ++r) {
    if (coarse) bytes += static_cast<char>(r % 20);
    bytes += static_cast<char>(r % classes);
    for (int p = 0; p < 3072; ++p) bytes += static_cast<char>((first + r + p) % 256);
  }
  return bytes;
}

/// A CIFAR-10 folder with `per_file` records in each of its six files.
inline std::filesystem::path write_cifar10(const std::filesystem::path& out, int per_file) {
  std::filesystem::path folder = out / "cifar-10-batches-bin";
  std::filesystem::create_directories(folder);
  for (int i = 1; i <= 5; ++i)
    write_text(folder / ("data_batch_" + std::to_string(i) + ".bin"),
               cifar_records(per_file, 10 * i, false, 10));
  write_text(folder / "test_batch.bin", cifar_records(per_file, 200, false, 10));
  write_text(folder / "batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  return folder;
}

}  // namespace branchy::test
