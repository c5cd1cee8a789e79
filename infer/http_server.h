// HttpServer: an event-driven HTTP/1.1 server. One I/O thread parses and formats for any number of
// keep-alive connections; workers behind a bounded queue do the work.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "infer/http_message.h"

namespace branchy {

namespace detail {
struct HttpServerState;
}

/// Every limit is explicit; none may be switched off.
struct HttpServerOptions {
  std::string host = "127.0.0.1";  ///< numeric address
  int port = 0;                    ///< 0: any free one
  std::size_t workers = 1;
  std::size_t queue_limit = 64;                   ///< requests that wait for a worker; beyond: 503
  std::size_t max_connections = 1024;             ///< beyond: 503
  std::uint32_t header_limit_bytes = 8 << 10;     ///< beyond: 431
  std::uint64_t body_limit_bytes = 16ULL << 20;   ///< beyond: 413, without reading on
  std::chrono::milliseconds idle_timeout{60000};  ///< between the requests of a connection
  std::chrono::milliseconds header_timeout{10000};
  std::chrono::milliseconds read_timeout{30000};  ///< whole body
  std::chrono::milliseconds write_timeout{30000};
  /// Run first on each worker thread; may be empty.
  std::function<void()> on_worker_start = {};
};

/// Answers one request, from any thread; only the first call counts. When every copy is gone
/// without a call, the client gets a 500. Must not outlive the server.
class Responder {
 public:
  struct State;
  explicit Responder(std::shared_ptr<State> state) : state_(std::move(state)) {}
  void operator()(HttpResponse response) const;

 private:
  std::shared_ptr<State> state_;
};

class HttpServer {
 public:
  /// On the I/O thread: answers what needs no work (health, unknown path), or nothing to queue the
  /// request for a worker. Must not block.
  using QuickHandler = std::function<std::optional<HttpResponse>(const HttpRequest&)>;
  /// On a worker thread. An exception becomes a 500.
  using Handler = std::function<void(HttpRequest, Responder)>;

  /// Binds and listens, so that clients may connect; they are answered after start(). Throws
  /// IoError when the address is not there or the port is in use (it is never shared).
  HttpServer(HttpServerOptions options, QuickHandler quick, Handler handler);
  /// stop() without patience.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// The port listened on.
  [[nodiscard]] int port() const;
  void start();
  /// Accepts no more, closes idle connections, lets requests that have begun finish within
  /// `drain_limit`, closes the others, joins all threads. Idempotent. A request being computed is
  /// waited for in any case.
  void stop(std::chrono::milliseconds drain_limit);

 private:
  std::unique_ptr<detail::HttpServerState> state_;
};

}  // namespace branchy
