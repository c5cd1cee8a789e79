// AtomicFile: a file that appears whole or not at all (written aside, fsynced, renamed).
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace branchy {

/// Writes `<path>.tmp.<pid>` and renames it over `path` in `commit()`; without `commit()` the
/// destructor removes the temporary file and `path` stays as it was. Errors (no permission, disk
/// full) throw IoError naming the path, the cause and the remedy.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// fsync of the file, rename, fsync of the directory.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

/// The whole of a text file at once through AtomicFile.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace branchy
