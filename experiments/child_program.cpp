#include "experiments/child_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {
namespace {

using Clock = std::chrono::steady_clock;

void redirect(const std::string& path, int descriptor) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file >= 0) ::dup2(file, descriptor);
}

[[noreturn]] void fail_to_start(const ChildOptions& options) {
  throw IoError(
      fmt::format("[{}] cannot start: {}", options.command.front(), std::strerror(errno)));
}

}  // namespace

ChildProgram::ChildProgram(const ChildOptions& options) : log_(options.log) {
  // Everything that takes memory happens before the fork.
  std::vector<std::string> words = options.command;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::string error = log_.string(), output = error + ".out";
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  for (const int cpu : options.cpus) CPU_SET(cpu, &cpus);
  std::array<int, 2> sockets{-1, -1};  // unlike a pipe, one that is closed raises no signal
  if (options.converses &&
      ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0)
    fail_to_start(options);
  id_ = ::fork();
  if (options.converses && id_ != 0) {
    ::close(sockets[1]);
    socket_ = sockets[0];
  }
  if (id_ < 0) {
    if (options.converses) ::close(socket_);
    fail_to_start(options);
  }
  if (id_ > 0) return;
  for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
  if (!options.cpus.empty() && ::sched_setaffinity(0, sizeof cpus, &cpus) != 0) ::_exit(126);
  if (options.converses) {
    ::dup2(sockets[1], STDIN_FILENO);
    ::dup2(sockets[1], STDOUT_FILENO);
  } else {
    redirect(output, STDOUT_FILENO);
  }
  redirect(error, STDERR_FILENO);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

ChildProgram::~ChildProgram() {
  if (socket_ >= 0) ::close(socket_);
  if (!running()) return;
  signal(SIGKILL);
  ::waitpid(id_, nullptr, 0);
}

void ChildProgram::signal(int number) const {
  if (!status_) ::kill(id_, number);
}

bool ChildProgram::running() {
  int status = 0;
  if (!status_ && ::waitpid(id_, &status, WNOHANG) == id_) status_ = status;
  return !status_;
}

std::optional<int> ChildProgram::wait(std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  while (running()) {
    if (Clock::now() > deadline) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return WIFEXITED(*status_) ? WEXITSTATUS(*status_) : 128 + WTERMSIG(*status_);
}

double ChildProgram::cpu_seconds() const {
  const std::string text = file_text(fmt::format("/proc/{}/stat", id_));
  const std::size_t name_end = text.rfind(')');  // the name may hold anything
  if (status_ || name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  double ticks = 0;
  for (int number = 3; number <= 15 && fields >> field; ++number)  // proc(5): utime 14, stime 15
    if (number >= 14) ticks += std::strtod(field.c_str(), nullptr);
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::int64_t ChildProgram::peak_bytes() const {
  const std::string text = file_text(fmt::format("/proc/{}/status", id_));
  const std::size_t begin = text.find("VmHWM:");
  if (status_ || begin == std::string::npos) return 0;
  return std::strtoll(text.c_str() + begin + 6, nullptr, 10) * 1024;
}

void ChildProgram::say(const std::string& line) {
  const std::string text = line + "\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t count = ::send(socket_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;
    sent += static_cast<std::size_t>(count);
  }
}

std::optional<std::string> ChildProgram::hear(std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  for (;;) {
    if (const std::size_t end = heard_.find('\n'); end != std::string::npos) {
      const std::string line = heard_.substr(0, end);
      heard_.erase(0, end + 1);
      return line;
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0)
      return std::nullopt;
    std::array<char, 4096> buffer{};
    const ssize_t count = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return std::nullopt;
    if (count > 0) heard_.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

std::string ChildProgram::log() const { return file_text(log_); }
std::string ChildProgram::output() const { return file_text(log_.string() + ".out"); }

std::filesystem::path program_path(const std::string& name, const std::filesystem::path& folder) {
  std::error_code ignored;
  const auto place = folder.empty()
                         ? std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path()
                         : folder;
  const auto path = place / name;
  if (!std::filesystem::exists(path, ignored))
    throw ConfigError(fmt::format("[{}] there is no such program; build it, or give --bin FOLDER",
                                  path.string()));
  return path;
}

std::string file_text(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return {};  // /dev/full has no end
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

int await_port(ChildProgram& program, const std::filesystem::path& port_file,
               std::chrono::seconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  for (;;) {
    const std::string text = file_text(port_file);
    int port = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), port).ec == std::errc())
      return port;
    const bool ended = !program.running();
    if (ended || Clock::now() > deadline) {
      std::string log = program.log();
      if (log.size() > 400) log = log.substr(log.size() - 400);
      throw IoError(fmt::format("[program] {} before it was ready: {}", ended ? "ended" : "hung",
                                printable(log)));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace branchy
