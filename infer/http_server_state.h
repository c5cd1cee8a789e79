// What the connections of an HttpServer share. Internal to the server's sources.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "infer/bearer_token.h"
#include "infer/content_encoding.h"
#include "infer/http_server.h"
#include "infer/io_loop.h"
#include "infer/tls_context.h"
#include "infer/work_queue.h"

namespace branchy::detail {

class HttpSession;

/// Members are used on the I/O thread alone, unless they say otherwise.
struct HttpServerState {
  using Clock = std::chrono::steady_clock;

  /// Of any thread.
  struct Counters {
    std::atomic<std::uint64_t> open{0};
    std::atomic<std::uint64_t> accepted{0};
    std::atomic<std::uint64_t> refused{0};
    std::atomic<std::uint64_t> requests{0};
    std::array<std::atomic<std::uint64_t>, 6> responses{};
    std::atomic<std::uint64_t> bytes_in{0};
    std::atomic<std::uint64_t> bytes_out{0};
  };

  HttpServerState(HttpServerOptions the_options, HttpServer::QuickHandler the_quick,
                  HttpServer::Handler the_handler);

  void accept();
  void begin_stop(std::chrono::milliseconds drain_limit);

  void session_began(HttpSession* session);
  void session_ended(HttpSession* session);
  /// Has late sessions closed no later than a little after `deadline`. Sessions change theirs by
  /// a mere store: one timer looks through all of them when the earliest may be due.
  void watch(Clock::time_point deadline);
  void close_late_sessions();
  /// Queues a request whose body is encoded as said.
  void dispatch(HttpRequest request, ContentCoding coding, const Responder& responder);
  /// Of any thread; null for plain HTTP.
  [[nodiscard]] std::shared_ptr<const TlsContext> tls() const;
  void load_tls();
  /// Of any thread.
  [[nodiscard]] std::shared_ptr<const BearerTokens> tokens() const;
  void set_tokens(const std::vector<std::string>& tokens);

  const HttpServerOptions options;  // any thread
  const HttpServer::QuickHandler quick;
  const HttpServer::Handler handler;
  Counters counters;
  std::set<HttpSession*> sessions;
  /// What is read from any connection lands here first, so that idle ones own no buffer.
  std::vector<char> scratch;
  bool stopping = false;
  bool started = false;  // of the owner's thread
  bool stopped = false;  // of the owner's thread
  int port = 0;
  std::size_t max_connections = 0;
  IoLoop loop;
  std::unique_ptr<IoSocket> listener;
  IoTimer drain_timer{loop};
  IoTimer accept_timer{loop};
  IoTimer deadline_timer{loop};
  Clock::time_point next_look = Clock::time_point::max();
  std::unique_ptr<WorkQueue> queue;
  std::thread io_thread;

 private:
  void accept_one(int descriptor);

  mutable std::mutex reload_mutex_;  // guards what follows
  std::shared_ptr<const TlsContext> tls_;
  std::shared_ptr<const BearerTokens> tokens_;
};

}  // namespace branchy::detail
