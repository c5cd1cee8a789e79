// WatchedFolder: image files as they are put into a folder, by inotify.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace branchy {

/// Gives each image file (`is_image_name`) right in the folder once: those that lie there first, by
/// name, then each when it has been closed after writing or moved in; again when its content was
/// written anew. Names that begin with '.' are left alone, and so is a file that somebody still has
/// open for writing (as far as the file system can tell). When more happens than the kernel queues,
/// the folder is read again. One thread at a time.
class WatchedFolder {
 public:
  /// Throws IoError when the folder cannot be watched.
  explicit WatchedFolder(std::filesystem::path folder);
  ~WatchedFolder();
  WatchedFolder(const WatchedFolder&) = delete;
  WatchedFolder& operator=(const WatchedFolder&) = delete;

  /// Blocks until there is a file, or `stop` (a descriptor; -1: never) is readable: nothing then.
  /// Throws IoError when the folder goes away.
  [[nodiscard]] std::optional<std::filesystem::path> next(int stop);

 private:
  /// Which file with which content.
  struct Identity {
    ino_t inode = 0;
    std::int64_t bytes = 0, changed_ns = 0;

    friend bool operator==(const Identity&, const Identity&) = default;
  };

  void scan();
  void read_events();
  void offer(const std::string& name, bool may_be_open);
  [[nodiscard]] static std::optional<Identity> identify(const std::filesystem::path& file);

  std::filesystem::path folder_;
  int descriptor_ = -1;
  std::deque<std::string> arrived_;
  std::map<std::string, Identity> given_;  ///< files of the folder that have been given out
};

}  // namespace branchy
