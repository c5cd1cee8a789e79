#include "experiments/child_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

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
  id_ = ::fork();
  if (id_ < 0)
    throw IoError(
        fmt::format("[{}] cannot start: {}", options.command.front(), std::strerror(errno)));
  if (id_ > 0) return;
  for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
  if (!options.cpus.empty() && ::sched_setaffinity(0, sizeof cpus, &cpus) != 0) ::_exit(126);
  redirect(output, STDOUT_FILENO);
  redirect(error, STDERR_FILENO);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

ChildProgram::~ChildProgram() {
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
