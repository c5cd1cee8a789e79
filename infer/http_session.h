// HttpSession: one connection of an HttpServer. Internal to the server's sources.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "infer/content_encoding.h"
#include "infer/http_request_reader.h"
#include "infer/http_server.h"
#include "infer/http_server_state.h"
#include "infer/io_loop.h"
#include "infer/socket_channel.h"

namespace branchy::detail {

/// What a streaming Responder, on any thread, knows of its connection.
struct StreamGauge {
  std::atomic<std::uint64_t> unsent_bytes{0};
  std::atomic<bool> gone{false};
};

/// Kept alive by what it waits for, or by the Responder while its request is worked on; then the
/// socket is not read, so that answers keep the order of requests. On the I/O thread alone.
class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  using Clock = HttpServerState::Clock;

  /// Owns the descriptor.
  HttpSession(HttpServerState& server, int descriptor);
  ~HttpSession();
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  void start();
  /// Answers an error, reads no request any more and closes.
  void refuse(HttpResponse response);
  void respond(HttpResponse response);
  void begin_stream(HttpResponse head, std::shared_ptr<StreamGauge> gauge);
  void stream_part(std::string bytes);
  void end_stream();
  /// Calls `act(*this)`; what it throws, most likely for want of memory, ends this connection
  /// alone.
  template <class Act>
  void run_guarded(Act&& act) {
    try {
      act(*this);
    } catch (const std::exception&) {
      close();
    }
  }
  void close();
  void close_if_idle() {
    if (idle_) close();
  }
  [[nodiscard]] Clock::time_point deadline() const { return deadline_; }
  [[nodiscard]] HttpServerState& server() { return server_; }
  [[nodiscard]] const AcceptedCoding& accepted() const { return accepted_; }

 private:
  void shake_hands();
  void await_request(std::chrono::milliseconds timeout);
  void receive();
  void await_more();
  void consume(std::string_view bytes);
  bool admit();
  void watch_body();
  void on_request();
  void send(std::string bytes);
  void send_head(const HttpResponse& response, std::optional<std::uint64_t> content_length);
  void flush();
  void flush_again();
  void sent(std::size_t bytes);
  void on_sent_all();
  void linger();
  void set_deadline(Clock::time_point deadline);
  void set_deadline(std::chrono::milliseconds from_now) { set_deadline(Clock::now() + from_now); }
  void wait(IoSocket::Event event, void (HttpSession::*next)());
  void later(void (HttpSession::*next)());
  void run(void (HttpSession::*next)()) {
    run_guarded([next](HttpSession& self) { (self.*next)(); });
  }

  HttpServerState& server_;
  IoSocket socket_;
  SocketChannel channel_;
  Clock::time_point deadline_ = Clock::time_point::max();

  std::unique_ptr<HttpRequestReader> reader_;  // of the request that is coming
  std::string pending_;                        // came, but is not read yet
  bool admitted_ = false;
  Clock::time_point body_began_;
  ContentCoding coding_ = ContentCoding::kIdentity;
  AcceptedCoding accepted_;

  std::deque<std::string> outgoing_;
  std::size_t front_sent_ = 0;  // bytes of outgoing_.front()
  bool waits_to_send_ = false;
  bool answer_complete_ = false;
  bool chunked_ = false;
  std::shared_ptr<StreamGauge> gauge_;

  bool idle_ = false;
  bool keep_alive_ = false;
  bool lingers_ = false;
  bool head_ = false;
  bool http_1_0_ = false;
};

}  // namespace branchy::detail

namespace branchy {

/// Carries answers from any thread to the I/O thread.
struct Responder::State {
  explicit State(std::shared_ptr<detail::HttpSession> the_session);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void answer(HttpResponse response);
  void begin(HttpResponse head);
  bool part(std::string bytes);
  void end();

 private:
  /// Runs `act(session)` on the I/O thread.
  template <class Act>
  void post(Act act);
  /// Likewise, and lets go of the session.
  template <class Act>
  void post_last(Act act);

  std::shared_ptr<detail::HttpSession> session_;
  IoLoop& loop_;
  AcceptedCoding accepted_;
  std::uint64_t stream_limit_bytes_;
  std::atomic<bool> answered_{false};
  std::atomic<bool> ended_{false};
  std::shared_ptr<detail::StreamGauge> gauge_;
};

}  // namespace branchy
