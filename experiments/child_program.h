// ChildProgram: one of the project's programs as a process of its own, for measurements.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace branchy {

struct ChildOptions {
  std::vector<std::string> command;  ///< path or name first
  std::filesystem::path log;         ///< standard error; its output goes to `log`.out
  std::vector<int> cpus = {};        ///< that it may run on; empty: those of this process
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< added to this process's
  bool converses = false;  ///< its standard input and output are for `say` and `hear`
};

/// Starts in the constructor; the destructor kills what still runs. One thread at a time.
class ChildProgram {
 public:
  /// Throws IoError when no process can be made. A program that is not there ends with 127.
  explicit ChildProgram(const ChildOptions& options);
  ~ChildProgram();
  ChildProgram(const ChildProgram&) = delete;
  ChildProgram& operator=(const ChildProgram&) = delete;

  [[nodiscard]] pid_t id() const { return id_; }
  void signal(int number) const;
  [[nodiscard]] bool running();
  /// The exit code, 128 + signal when killed by one; nothing when it still runs after `limit`.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds limit);
  /// User and system time of all its threads so far; 0 when it has ended.
  [[nodiscard]] double cpu_seconds() const;
  /// Peak resident memory, bytes; 0 when it has ended.
  [[nodiscard]] std::int64_t peak_bytes() const;
  /// Writes a line to a program that converses; nothing when it has ended.
  void say(const std::string& line);
  /// The next line of a program that converses; nothing when it ends or says none within `limit`.
  [[nodiscard]] std::optional<std::string> hear(std::chrono::milliseconds limit);
  [[nodiscard]] std::string log() const;     ///< standard error so far
  [[nodiscard]] std::string output() const;  ///< standard output so far

 private:
  pid_t id_ = -1;
  std::filesystem::path log_;
  int socket_ = -1;    ///< of one that converses
  std::string heard_;  ///< what came behind the last line
  std::optional<int> status_;
};

/// `name` beside the program that runs, or in `folder` when that is not empty. Throws ConfigError
/// when no such file is there.
[[nodiscard]] std::filesystem::path program_path(const std::string& name,
                                                 const std::filesystem::path& folder = {});

/// What a file holds; "" when there is none.
[[nodiscard]] std::string file_text(const std::filesystem::path& path);

/// Waits until `program` has written its port into `port_file`; throws IoError with the end of its
/// log when it ends or does not within `limit`.
[[nodiscard]] int await_port(ChildProgram& program, const std::filesystem::path& port_file,
                             std::chrono::seconds limit = std::chrono::seconds(60));

}  // namespace branchy
