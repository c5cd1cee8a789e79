// Sockets on loopback for tests: a raw client and a peer that misbehaves as told.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace branchy::test {

inline sockaddr_in loopback_address(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// A blocking socket that sends and reads what a test says; reads give up after 10 s.
class RawSocket {
 public:
  explicit RawSocket(int descriptor) : descriptor_(descriptor) {
    const timeval patience{10, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  static RawSocket connect(int port) {
    RawSocket socket(::socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in address = loopback_address(port);
    socket.connected_ = ::connect(socket.descriptor_, reinterpret_cast<const sockaddr*>(&address),
                                  sizeof address) == 0;
    return socket;
  }
  RawSocket(RawSocket&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), connected_(other.connected_) {}
  RawSocket& operator=(RawSocket&&) = delete;
  ~RawSocket() { close(); }

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }
  void send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  /// What has come when `stop` is found in it, or until the peer closes.
  [[nodiscard]] std::string read_until(std::string_view stop) const {
    std::string all;
    char chunk[4096];
    while (stop.empty() || all.find(stop) == std::string::npos) {
      const ssize_t got = ::recv(descriptor_, chunk, sizeof chunk, 0);
      if (got <= 0) break;
      all.append(chunk, static_cast<std::size_t>(got));
    }
    return all;
  }
  /// What comes next, "" when the peer closes.
  [[nodiscard]] std::string read_some() const {
    char chunk[4096];
    const ssize_t got = ::recv(descriptor_, chunk, sizeof chunk, 0);
    return {chunk, got > 0 ? static_cast<std::size_t>(got) : 0};
  }
  [[nodiscard]] std::string read_all() const { return read_until({}); }
  /// How long reads wait from now on.
  void set_patience(std::chrono::milliseconds limit) const {
    const timeval patience{limit.count() / 1000, limit.count() % 1000 * 1000};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  /// Says that nothing more will be sent.
  void finish() const { ::shutdown(descriptor_, SHUT_WR); }
  void close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }

 private:
  int descriptor_;
  bool connected_ = true;
};

/// Listens on a free port and runs `behave` for each connection, one after another.
class FakePeer {
 public:
  explicit FakePeer(std::function<void(RawSocket&)> behave)
      : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = loopback_address(0);
    socklen_t length = sizeof address;
    if (::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), length) != 0)
      throw std::runtime_error("no loopback port to bind");
    ::listen(descriptor_, 16);
    ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, act = std::move(behave)] {
      for (;;) {
        const int accepted = ::accept(descriptor_, nullptr, nullptr);
        if (accepted < 0) return;
        RawSocket socket(accepted);
        act(socket);
      }
    });
  }
  ~FakePeer() {
    ::shutdown(descriptor_, SHUT_RDWR);
    thread_.join();
    ::close(descriptor_);
  }
  FakePeer(const FakePeer&) = delete;
  FakePeer& operator=(const FakePeer&) = delete;

  [[nodiscard]] int port() const { return port_; }

 private:
  int descriptor_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace branchy::test
