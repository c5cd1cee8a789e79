#include "infer/tcp_connect.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace branchy {
namespace {

using Clock = std::chrono::steady_clock;

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};
using Addresses = std::vector<Address>;

Addresses resolve(const std::string& host, int port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  Addresses addresses;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return {};
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    Address address{.storage = {}, .length = entry->ai_addrlen};
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  return addresses;
}

// A name look-up cannot be cancelled, so it runs on a thread of its own that outlives a caller
// whose deadline has passed.
struct Lookup {
  std::mutex mutex;
  std::condition_variable finished;
  std::optional<Addresses> addresses;
};

Addresses look_up(const std::string& host, int port, Clock::time_point deadline) {
  Addresses numeric = resolve(host, port, AI_NUMERICHOST);
  if (!numeric.empty()) return numeric;
  auto lookup = std::make_shared<Lookup>();
  std::thread([lookup, host, port] {
    Addresses found = resolve(host, port, AI_ADDRCONFIG);
    const std::lock_guard lock(lookup->mutex);
    lookup->addresses = std::move(found);
    lookup->finished.notify_one();
  }).detach();
  std::unique_lock lock(lookup->mutex);
  lookup->finished.wait_until(lock, deadline, [&] { return lookup->addresses.has_value(); });
  return lookup->addresses.value_or(Addresses());
}

// 0, or errno; the descriptor in `connection` when it is 0.
int connect_to(const Address& address, Clock::time_point deadline, TcpConnection& connection) {
  const int descriptor =
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return errno;
  int error = 0;
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address.storage), address.length) !=
      0) {
    error = errno;
    if (error == EINPROGRESS) {
      socklen_t size = sizeof error;
      if (!await_socket(descriptor, true, deadline)) {
        error = ETIMEDOUT;
      } else if (::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
      }
    }
  }
  if (error != 0) {
    ::close(descriptor);
    return error;
  }
  const int yes = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  connection.descriptor = descriptor;
  return 0;
}

}  // namespace

bool await_socket(int descriptor, bool writable, Clock::time_point deadline) {
  pollfd waited{.fd = descriptor, .events = POLLIN, .revents = 0};
  if (writable) waited.events = POLLOUT;
  for (;;) {
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) return false;
    const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    const timespec patience{.tv_sec = nanoseconds / 1'000'000'000,
                            .tv_nsec = nanoseconds % 1'000'000'000};
    const int ready = ::ppoll(&waited, 1, &patience, nullptr);
    if (ready > 0) return true;  // an error counts too: the next call on the socket reports it
    if (ready < 0 && errno != EINTR) return true;
  }
}

TcpConnection tcp_connect(const std::string& host, int port, Clock::time_point deadline) {
  const Addresses addresses = look_up(host, port, deadline);
  TcpConnection connection;
  int error = 0;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const auto now = Clock::now();
    const auto share = (deadline - now) / static_cast<int>(addresses.size() - i);
    error = connect_to(addresses[i], now + share, connection);
    if (error == 0) return connection;
  }
  connection.error = addresses.empty() ? "host not found" : std::generic_category().message(error);
  return connection;
}

}  // namespace branchy
