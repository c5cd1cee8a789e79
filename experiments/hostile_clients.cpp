#include "experiments/hostile_clients.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <vector>

namespace branchy {
namespace {

using Clock = std::chrono::steady_clock;

// A non-blocking connection to loopback, or -1.
int connect_to(int port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(descriptor);
    return -1;
  }
  ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
  return descriptor;
}

bool has_ended(int descriptor) {
  char byte = 0;
  const ssize_t got = ::recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

}  // namespace

struct IdleConnections::Impl {
  std::vector<int> descriptors;
  std::size_t dripped = 0;
};

IdleConnections::IdleConnections(int port, std::int64_t count) : impl_(std::make_unique<Impl>()) {
  raise_open_files_limit();
  for (std::int64_t i = 0; i < count; ++i) {
    const int descriptor = connect_to(port);
    if (descriptor < 0) return;
    impl_->descriptors.push_back(descriptor);
  }
}

IdleConnections::~IdleConnections() {
  for (const int descriptor : impl_->descriptors) ::close(descriptor);
}

std::int64_t IdleConnections::size() const { return std::ssize(impl_->descriptors); }

std::int64_t IdleConnections::num_ended() {
  return std::count_if(impl_->descriptors.begin(), impl_->descriptors.end(), has_ended);
}

void IdleConnections::drip() {
  static constexpr std::string_view kHeader =
      "POST /v2/models/none/infer HTTP/1.1\r\nHost: a\r\nX-Slow: ";
  const char byte = impl_->dripped < kHeader.size() ? kHeader[impl_->dripped] : 'a';
  ++impl_->dripped;
  for (const int descriptor : impl_->descriptors)
    (void)::send(descriptor, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

std::int64_t raise_open_files_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<std::int64_t>(limit.rlim_cur);
}

HugeBodyAnswer send_huge_body(int port, const std::string& path, std::int64_t bytes, bool chunked) {
  HugeBodyAnswer result;
  const int descriptor = connect_to(port);
  if (descriptor < 0) return result;
  const std::string length =
      chunked ? "Transfer-Encoding: chunked" : fmt::format("Content-Length: {}", bytes);
  std::string pending = fmt::format("POST {} HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", path, length);
  std::int64_t body_left = bytes;
  constexpr std::size_t kPiece = 1 << 16;
  std::string answer;
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  bool sends = true;
  while (Clock::now() < deadline) {
    pollfd entry{descriptor, static_cast<short>(POLLIN | (sends ? POLLOUT : 0)), 0};
    if (::poll(&entry, 1, 1000) < 0) break;
    if (entry.revents & (POLLIN | POLLHUP | POLLERR)) {
      char chunk[4096];
      const ssize_t got = ::recv(descriptor, chunk, sizeof chunk, MSG_DONTWAIT);
      if (got > 0) answer.append(chunk, static_cast<std::size_t>(got));
      if (got == 0 || (got < 0 && errno != EAGAIN)) break;
      if (answer.find("\r\n\r\n") != std::string::npos) break;
    }
    if (!sends || !(entry.revents & POLLOUT)) continue;
    if (pending.empty()) {
      if (body_left <= 0) {
        sends = false;
        continue;
      }
      pending = std::string(kPiece, 'x');
      if (chunked) pending = fmt::format("{:x}\r\n{}\r\n", kPiece, pending);
      body_left -= kPiece;
    }
    const ssize_t sent =
        ::send(descriptor, pending.data(), pending.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      pending.erase(0, static_cast<std::size_t>(sent));
      result.bytes_sent += sent;
    } else if (errno != EAGAIN) {
      sends = false;
    }
  }
  ::close(descriptor);
  if (answer.size() >= 12) std::from_chars(answer.data() + 9, answer.data() + 12, result.status);
  return result;
}

}  // namespace branchy
