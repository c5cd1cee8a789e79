// Download of the official CIFAR archives: resumed, checked by digest, then unpacked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace branchy {

/// A published gzipped tar archive that holds one folder of regular files.
struct DatasetArchive {
  std::string file;    ///< name below the base URL
  std::string folder;  ///< the only folder in it
  std::string md5;     ///< published digest of the archive, hexadecimal
};

struct FetchOptions {
  std::string base_url = "https://www.cs.toronto.edu/~kriz/";
  /// Called now and then with bytes present and expected (0: not yet known).
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
  std::int64_t connect_timeout_ms = 20'000;
  std::int64_t stall_timeout_ms = 30'000;  ///< gives up when nothing arrives for so long
  std::int64_t attempts = 4;               ///< connections, each resuming where the last broke off
};

struct FetchResult {
  std::filesystem::path folder;
  bool already_present = false;
};

/// Fetches `cifar10` or `cifar100` into a folder of its official name below `out_dir`. Throws
/// ConfigError for another name; otherwise as fetch_archive().
FetchResult fetch_dataset(std::string_view name, const std::filesystem::path& out_dir,
                          const FetchOptions& options);

/// Downloads `archive` to `out_dir/<file>.part` (continued when it is there already), compares its
/// MD5, unpacks it aside and renames the folder into place; the archive is then removed. Does
/// nothing when the folder exists. Throws IoError when the server cannot be reached, answers with
/// an error or breaks off (what has arrived stays for the next call), or the disk refuses;
/// DataError for a wrong digest (the download is removed) or an archive with anything but regular
/// files and directories below its folder.
FetchResult fetch_archive(const DatasetArchive& archive, const std::filesystem::path& out_dir,
                          const FetchOptions& options);

}  // namespace branchy
