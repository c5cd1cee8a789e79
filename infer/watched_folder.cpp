#include "infer/watched_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <set>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "data/folder.h"

namespace branchy {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                  IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

[[noreturn]] void fail(const fs::path& folder, int error) {
  throw IoError(fmt::format("[watch {}] {}; check the folder", folder.string(),
                            std::generic_category().message(error)));
}

/// A lease for reading is refused while the file is open for writing (fcntl(2)). Where leases do
/// not work (another owner, a network file system) nothing is known.
bool is_open_for_writing(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return false;
  const bool refused = ::fcntl(descriptor, F_SETLEASE, F_RDLCK) != 0 && errno == EAGAIN;
  ::close(descriptor);  // ends the lease too
  return refused;
}

}  // namespace

WatchedFolder::WatchedFolder(fs::path folder)
    : folder_(std::move(folder)), descriptor_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  if (descriptor_ < 0) fail(folder_, errno);
  if (::inotify_add_watch(descriptor_, folder_.c_str(), kEvents) < 0) {
    const int error = errno;
    ::close(descriptor_);
    fail(folder_, error);
  }
  try {
    scan();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

WatchedFolder::~WatchedFolder() { ::close(descriptor_); }

std::optional<WatchedFolder::Identity> WatchedFolder::identify(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return Identity{
      .inode = status.st_ino,
      .bytes = status.st_size,
      .changed_ns = 1'000'000'000 * std::int64_t{status.st_mtim.tv_sec} + status.st_mtim.tv_nsec};
}

void WatchedFolder::offer(const std::string& name, bool may_be_open) {
  if (name.starts_with('.') || !is_image_name(name)) return;
  const fs::path file = folder_ / name;
  const std::optional<Identity> identity = identify(file);
  if (!identity) return;
  const auto known = given_.find(name);
  if (known != given_.end() && known->second == *identity) return;
  // Its end of writing will be told.
  if (may_be_open && is_open_for_writing(file)) return;
  given_.insert_or_assign(name, *identity);
  arrived_.push_back(name);
}

void WatchedFolder::scan() {
  std::set<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(folder_, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error))
    names.insert(entry->path().filename().string());
  if (error) fail(folder_, error.value());
  std::erase_if(given_, [&](const auto& given) { return !names.contains(given.first); });
  for (const std::string& name : names) offer(name, true);
}

void WatchedFolder::read_events() {
  alignas(inotify_event) std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t got = ::read(descriptor_, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += sizeof(inotify_event) + event->len;
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        scan();
      } else if ((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) {
        fail(folder_, ENOENT);
      } else if (event->len > 0 && (event->mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
        given_.erase(event->name);
      } else if (event->len > 0) {
        offer(event->name, false);
      }
    }
  }
}

std::optional<fs::path> WatchedFolder::next(int stop) {
  for (;;) {
    std::array<pollfd, 2> ready{pollfd{stop, POLLIN, 0}, pollfd{descriptor_, POLLIN, 0}};
    // While files wait, only a look: events stay with the kernel.
    if (::poll(ready.data(), ready.size(), arrived_.empty() ? -1 : 0) < 0 && errno != EINTR)
      fail(folder_, errno);
    if ((ready[0].revents & POLLIN) != 0) return std::nullopt;
    if (!arrived_.empty()) {
      const fs::path file = folder_ / arrived_.front();
      arrived_.pop_front();
      return file;
    }
    if ((ready[1].revents & POLLIN) != 0) read_events();
  }
}

}  // namespace branchy
