// ChildProcess: a program under test, its output in files, never left behind.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace branchy::test {

[[nodiscard]] inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Asks until `condition` holds; false when it does not within `limit`.
template <class Condition>
[[nodiscard]] bool wait_until(const Condition& condition, std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

/// The destructor kills a child that still runs.
class ChildProcess {
 public:
  /// Starts `command` (path first); its standard error goes to `log`, its output to `log`.out.
  ChildProcess(std::vector<std::string> command, const std::filesystem::path& log) {
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const std::string error = log.string();
    const std::string output = error + ".out";
    id_ = ::fork();
    if (id_ < 0) throw std::runtime_error("fork failed");
    if (id_ > 0) return;
    redirect(output, STDOUT_FILENO);
    redirect(error, STDERR_FILENO);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ~ChildProcess() {
    if (status_) return;
    signal(SIGKILL);
    ::waitpid(id_, nullptr, 0);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  [[nodiscard]] pid_t id() const { return id_; }
  void signal(int number) const { ::kill(id_, number); }
  [[nodiscard]] bool running() {
    int status = 0;
    if (!status_ && ::waitpid(id_, &status, WNOHANG) == id_) status_ = status;
    return !status_;
  }
  /// The exit code, 128 + signal when killed by one, or nothing when it still runs after `limit`.
  [[nodiscard]] std::optional<int> wait(std::chrono::seconds limit) {
    if (!wait_until([this] { return !running(); }, limit)) return std::nullopt;
    return WIFEXITED(*status_) ? WEXITSTATUS(*status_) : 128 + WTERMSIG(*status_);
  }

 private:
  static void redirect(const std::string& path, int descriptor) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file >= 0) ::dup2(file, descriptor);
  }

  pid_t id_ = -1;
  std::optional<int> status_;
};

}  // namespace branchy::test
