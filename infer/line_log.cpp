#include "infer/line_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace branchy {
namespace {

std::string message(int error) { return std::generic_category().message(error); }

bool is_regular_file(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

LineLog::LineLog(const std::filesystem::path& path, Warn warn)
    : LineLog(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644), path.string(),
              std::move(warn)) {
  if (descriptor_ < 0)
    throw IoError(
        fmt::format("[{}] cannot be opened for appending: {}; check the path and its "
                    "rights",
                    name_, message(errno)));
  is_owner_ = true;
}

LineLog::LineLog(int descriptor, std::string name, Warn warn)
    : name_(std::move(name)),
      warn_(std::move(warn)),
      descriptor_(descriptor),
      is_owner_(false),
      is_file_(descriptor >= 0 && is_regular_file(descriptor)) {}

LineLog::~LineLog() {
  if (is_owner_) ::close(descriptor_);
}

int LineLog::write_whole(std::string_view bytes) {
  const off_t before = is_file_ ? ::lseek(descriptor_, 0, SEEK_END) : -1;
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t got = ::write(descriptor_, bytes.data() + written, bytes.size() - written);
    if (got >= 0) {
      written += static_cast<std::size_t>(got);
      continue;
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (error == EAGAIN) {  // somebody has made the pipe non-blocking
      pollfd writable{descriptor_, POLLOUT, 0};
      ::poll(&writable, 1, -1);
      continue;
    }
    if (written > 0) line_is_broken_ = before < 0 || ::ftruncate(descriptor_, before) != 0;
    return error;
  }
  return 0;
}

void LineLog::write(std::string_view line) {
  std::string bytes(line_is_broken_ ? "\n" : "");
  bytes += line;
  bytes += '\n';
  if (const int error = write_whole(bytes)) {
    ++num_lost_;
    ++num_lost_in_streak_;
    if (!std::exchange(is_failing_, true))
      warn_(fmt::format("[{}] {}; going on, results are lost until lines can be written again",
                        name_, message(error)));
    return;
  }
  line_is_broken_ = false;
  if (std::exchange(is_failing_, false))
    warn_(fmt::format("[{}] can be written again; {} results were lost", name_,
                      std::exchange(num_lost_in_streak_, 0)));
}

}  // namespace branchy
