// HttpServer: an event-driven HTTP/1.1 server. One I/O thread parses and formats for any number of
// keep-alive connections; workers behind a bounded queue do the work.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "infer/http_message.h"

namespace branchy {

namespace detail {
struct HttpServerState;
}

/// `/v2/health/...`: what a load balancer asks for without a token.
[[nodiscard]] bool is_health_path(std::string_view path);

/// Every limit is explicit; none may be switched off.
struct HttpServerOptions {
  std::string host = "127.0.0.1";  ///< numeric address
  int port = 0;                    ///< 0: any free one
  std::size_t workers = 1;
  std::size_t queue_limit = 64;                   ///< requests that wait for a worker; beyond: 503
  std::size_t max_connections = 1024;             ///< beyond: 503; open files may allow fewer
  std::uint32_t header_limit_bytes = 8 << 10;     ///< beyond: 431
  std::uint32_t header_limit_fields = 100;        ///< beyond: 431
  std::uint64_t body_limit_bytes = 16ULL << 20;   ///< decoded; beyond: 413, without reading on
  std::uint64_t stream_limit_bytes = 1ULL << 20;  ///< of a streamed answer, not yet taken: closed
  std::chrono::milliseconds idle_timeout{60000};  ///< between the requests of a connection
  std::chrono::milliseconds handshake_timeout{10000};  ///< TLS
  std::chrono::milliseconds header_timeout{10000};
  std::chrono::milliseconds read_timeout{30000};  ///< whole body
  /// A body must come at this rate, but for `body_grace`: its time is the grace and a second for
  /// each so many bytes that have come.
  std::uint64_t min_bytes_per_second = 1024;
  std::chrono::milliseconds body_grace{5000};
  std::chrono::milliseconds request_timeout{35000};  ///< header and body together
  std::chrono::milliseconds write_timeout{30000};    ///< one answer, or one part of a stream
  /// PEM files: chain with the server's certificate first, and its key. Both, or none for plain
  /// HTTP.
  std::string tls_certificate = {};
  std::string tls_key = {};
  /// Of which a request must carry one as `Authorization: Bearer TOKEN`; empty: none is needed.
  /// Checked before the body is read; 401 otherwise.
  std::vector<std::string> tokens = {};
  /// Paths that need no token.
  std::function<bool(std::string_view path)> open_path = is_health_path;
  /// Run first on each worker thread; may be empty.
  std::function<void()> on_worker_start = {};
};

/// Answers one request, from any thread: at once by a call, or in parts by begin(), part()...,
/// end() in this order. Only the first answer counts. When every copy is gone without one, the
/// client gets a 500; a stream without an end is cut off. Must not outlive the server.
class Responder {
 public:
  struct State;
  explicit Responder(std::shared_ptr<State> state) : state_(std::move(state)) {}
  void operator()(HttpResponse response) const;
  /// Sends status, headers and body so far of an answer whose length is not known yet (chunked).
  void begin(HttpResponse head) const;
  /// Never blocks. False when the client is gone, or so slow that it has been disconnected because
  /// of `stream_limit_bytes` or `write_timeout`: then stop.
  bool part(std::string bytes) const;
  void end() const;

 private:
  std::shared_ptr<State> state_;
};

class HttpServer {
 public:
  /// On the I/O thread: answers what needs no work (health, unknown path), or nothing to queue the
  /// request for a worker. Must not block, nor look at the body, which may still be compressed.
  using QuickHandler = std::function<std::optional<HttpResponse>(const HttpRequest&)>;
  /// On a worker thread, with the body decoded. An exception becomes a 500.
  using Handler = std::function<void(HttpRequest, Responder)>;

  /// Counted since start(), except for what says "now".
  struct Stats {
    std::uint64_t connections_open = 0;  ///< now
    std::uint64_t connections_accepted = 0;
    std::uint64_t connections_refused = 0;  ///< by max_connections
    std::uint64_t requests = 0;             ///< whose header was read
    /// By hundreds of the status: [2] counts 200..299.
    std::array<std::uint64_t, 6> responses = {};
    std::uint64_t bytes_in = 0;      ///< HTTP, without TLS
    std::uint64_t bytes_out = 0;     ///< HTTP, without TLS
    std::uint64_t queue_length = 0;  ///< requests that wait for a worker now
  };

  /// Binds and listens, so that clients may connect; they are answered after start(). Throws
  /// IoError when the address is not there or the port is in use (it is never shared), ConfigError
  /// when certificate and key cannot be read or do not belong together.
  HttpServer(HttpServerOptions options, QuickHandler quick, Handler handler);
  /// stop() without patience.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// The port listened on.
  [[nodiscard]] int port() const;
  void start();
  /// Reads certificate and key again, for connections that come; throws ConfigError and keeps the
  /// old ones when they are no good. From any thread.
  void reload_tls();
  /// For requests that come; none: no token is needed. From any thread.
  void set_tokens(const std::vector<std::string>& tokens);
  /// From any thread, at any time.
  [[nodiscard]] Stats stats() const;
  /// Accepts no more, closes idle connections, lets requests that have begun finish within
  /// `drain_limit`, closes the others, joins all threads. Idempotent. A request being computed is
  /// waited for in any case.
  void stop(std::chrono::milliseconds drain_limit);

 private:
  std::unique_ptr<detail::HttpServerState> state_;
};

}  // namespace branchy
