// LineLog: lines appended to a file or a pipe for as long as a program runs, disk full or not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace branchy {

/// Each line is written at once and whole: what part of it a full disk took is taken back from a
/// file, and elsewhere ended by a newline before the next line. A line that cannot be written is
/// lost and counted; `warn` is told when that begins and when it is over. Not thread-safe.
class LineLog {
 public:
  using Warn = std::function<void(const std::string&)>;

  /// Appends to `path`, made when it is not there. Throws IoError when it cannot be opened.
  LineLog(const std::filesystem::path& path, Warn warn);
  /// Writes to an open descriptor, which stays the caller's; `name` is for messages.
  LineLog(int descriptor, std::string name, Warn warn);
  ~LineLog();
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;

  /// `line` without its newline.
  void write(std::string_view line);
  [[nodiscard]] std::int64_t num_lost() const { return num_lost_; }

 private:
  /// An errno, or 0.
  [[nodiscard]] int write_whole(std::string_view bytes);

  std::string name_;
  Warn warn_;
  int descriptor_;
  bool is_owner_, is_file_ = false;
  bool line_is_broken_ = false, is_failing_ = false;
  std::int64_t num_lost_ = 0, num_lost_in_streak_ = 0;
};

}  // namespace branchy
