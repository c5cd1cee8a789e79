#include "tests/support/file_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <utility>

namespace branchy::test {

namespace {

/// A socket bound to a free port of loopback, and the port.
std::pair<int, int> bind_loopback() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (descriptor < 0 || ::bind(descriptor, generic, length) != 0 ||
      ::getsockname(descriptor, generic, &length) != 0)
    throw std::runtime_error("cannot bind to loopback");
  return {descriptor, ntohs(address.sin_port)};
}

void send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string read_request(int connection) {
  std::string request;
  char chunk[4096];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = ::recv(connection, chunk, sizeof(chunk), 0);
    if (got <= 0) break;
    request.append(chunk, static_cast<std::size_t>(got));
  }
  return request;
}

std::int64_t range_start(const std::string& request) {
  constexpr std::string_view kHeader = "Range: bytes=";
  const std::size_t at = request.find(kHeader);
  return at == std::string::npos ? 0 : std::stoll(request.substr(at + kHeader.size()));
}

}  // namespace

FileServer::FileServer(FileServerOptions options) : options_(std::move(options)) {
  std::tie(listener_, port_) = bind_loopback();
  if (::listen(listener_, 8) != 0) throw std::runtime_error("cannot listen on loopback");
  thread_ = std::thread([this] { serve(); });
}

FileServer::~FileServer() {
  stopping_ = true;
  thread_.join();
  ::close(listener_);
}

std::string FileServer::url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }

std::vector<std::int64_t> FileServer::range_starts() const {
  const std::lock_guard lock(mutex_);
  return range_starts_;
}

void FileServer::serve() {
  while (!stopping_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (::poll(&waiting, 1, 20) <= 0) continue;
    const int connection = ::accept(listener_, nullptr, nullptr);
    if (connection < 0) continue;
    answer(connection);
    ::close(connection);
  }
}

void FileServer::answer(int connection) {
  const std::string request = read_request(connection);
  const std::int64_t asked = range_start(request);
  int served = 0;
  {
    const std::lock_guard lock(mutex_);
    range_starts_.push_back(asked);
    served = static_cast<int>(range_starts_.size());
  }
  const std::int64_t size = std::ssize(options_.body);
  const std::int64_t begin = options_.ranges ? asked : 0;
  int status = options_.status;
  if (status == 200 && begin > 0) status = begin < size ? 206 : 416;
  std::string_view body;
  if (status < 300) body = std::string_view(options_.body).substr(static_cast<std::size_t>(begin));
  std::string head = "HTTP/1.1 " + std::to_string(status) + " Status\r\nConnection: close\r\n" +
                     "Content-Length: " + std::to_string(body.size()) + "\r\n";
  if (status == 206)
    head += "Content-Range: bytes " + std::to_string(begin) + "-" + std::to_string(size - 1) + "/" +
            std::to_string(size) + "\r\n";
  send_all(connection, head + "\r\n");
  if (options_.break_after >= 0 && served <= options_.num_breaks)
    body = body.substr(0, static_cast<std::size_t>(options_.break_after));
  send_all(connection, body);
}

int closed_port() {
  const auto [descriptor, port] = bind_loopback();
  ::close(descriptor);
  return port;
}

}  // namespace branchy::test
