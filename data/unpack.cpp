#include "data/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "core/error.h"

namespace branchy {

namespace {

constexpr std::int64_t kMaxBytes = std::int64_t{4} << 30;
constexpr std::int64_t kMaxEntries = 100'000;

struct FreeArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, FreeArchive>;

std::string reason_of(archive* reader) {
  const char* text = archive_error_string(reader);
  std::string reason = text == nullptr ? "unknown reason" : text;
  for (char& c : reason)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return reason;
}

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& problem) {
  throw DataError(
      fmt::format("[{}] {}; nothing was put in place, get the archive from its "
                  "official source",
                  file.string(), problem));
}

/// The entry's path if it may be written below the output directory; throws otherwise.
std::filesystem::path checked_path(const std::filesystem::path& file, archive_entry* entry,
                                   std::string_view folder) {
  const char* name = archive_entry_pathname(entry);
  std::string shown = name == nullptr ? "" : name;
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20) c = '?';
  std::filesystem::path path = name == nullptr ? "" : name;
  bool safe = !path.empty() && path.is_relative() && *path.begin() == folder;
  for (const auto& part : path) safe = safe && part != "..";
  if (!safe)
    refuse(file,
           fmt::format("entry '{}' lies outside the folder {}", shown.substr(0, 120), folder));
  const bool is_plain =
      archive_entry_hardlink(entry) == nullptr &&
      (archive_entry_filetype(entry) == AE_IFREG || archive_entry_filetype(entry) == AE_IFDIR);
  if (!is_plain)
    refuse(file, fmt::format("entry '{}' is neither a regular file nor a directory",
                             shown.substr(0, 120)));
  return path;
}

/// Writes the current entry's data; returns its bytes.
std::int64_t write_entry(const std::filesystem::path& file, archive* reader,
                         const std::filesystem::path& target, std::int64_t budget) {
  std::error_code error;
  std::filesystem::create_directories(target.parent_path(), error);
  std::ofstream out(target, std::ios::binary | std::ios::trunc);
  std::vector<char> chunk(1U << 18U);
  std::int64_t total = 0;
  while (true) {
    const la_ssize_t got = archive_read_data(reader, chunk.data(), chunk.size());
    if (got < 0) refuse(file, fmt::format("the archive is damaged: {}", reason_of(reader)));
    if (got == 0) break;
    total += got;
    if (total > budget) refuse(file, fmt::format("it unpacks to more than {} bytes", kMaxBytes));
    out.write(chunk.data(), got);
    if (!out) break;
  }
  out.close();
  if (error || !out)
    throw IoError(fmt::format("[{}] cannot write the file; check the permissions and free space",
                              target.string()));
  return total;
}

}  // namespace

void unpack_tar_gz(const std::filesystem::path& file, std::string_view folder,
                   const std::filesystem::path& out_dir) {
  const Reader reader(archive_read_new());
  if (reader == nullptr) throw std::bad_alloc();
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_format_tar(reader.get());
  if (archive_read_open_filename(reader.get(), file.c_str(), 1U << 16U) != ARCHIVE_OK)
    refuse(file,
           fmt::format("cannot be opened as a gzipped tar archive: {}", reason_of(reader.get())));
  std::int64_t bytes = 0;
  archive_entry* entry = nullptr;
  for (std::int64_t entries = 0;; ++entries) {
    const int status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK)
      refuse(file, fmt::format("the archive is damaged: {}", reason_of(reader.get())));
    if (entries == kMaxEntries) refuse(file, fmt::format("more than {} entries", kMaxEntries));
    const std::filesystem::path path = checked_path(file, entry, folder);
    if (archive_entry_filetype(entry) == AE_IFREG)
      bytes += write_entry(file, reader.get(), out_dir / path, kMaxBytes - bytes);
  }
}

}  // namespace branchy
