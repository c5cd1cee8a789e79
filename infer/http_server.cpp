#include "infer/http_server.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <exception>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/threads.h"
#include "infer/work_queue.h"

namespace branchy {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;

bool is_health_path(std::string_view path) { return path.starts_with("/v2/health/"); }

constexpr std::chrono::milliseconds kLingerTimeout{2000};
constexpr std::size_t kReadChunk = 16 << 10;

namespace detail {

class Session;

struct HttpServerState {
  HttpServerState(HttpServerOptions the_options, HttpServer::QuickHandler the_quick,
                  HttpServer::Handler the_handler);

  void accept();
  void begin_stop(std::chrono::milliseconds drain_limit);
  void session_ended(Session* session);
  void dispatch(HttpRequest request, const Responder& responder);

  HttpServerOptions options;
  HttpServer::QuickHandler quick;
  HttpServer::Handler handler;
  std::set<Session*> sessions;  // I/O thread only
  bool stopping = false;        // I/O thread only
  bool started = false;
  bool stopped = false;
  int port = 0;
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  asio::steady_timer drain_timer{io};
  asio::steady_timer accept_timer{io};
  std::unique_ptr<WorkQueue> queue;
  std::thread io_thread;
};

// One connection. Kept alive by its pending operation, or by the Responder while a worker has its
// request. All members are used on the I/O thread alone.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(HttpServerState& server, tcp::socket socket)
      : server_(server), stream_(std::move(socket)), buffer_(max_buffer(server.options)) {
    server_.sessions.insert(this);
  }
  ~Session() { server_.session_ended(this); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() { wait_for_request(server_.options.header_timeout); }
  void refuse(int status, std::string_view text) {
    keep_alive_ = false;
    lingers_ = true;
    respond(error_response(status, text));
  }
  void respond(HttpResponse response);
  void close_if_idle() {
    if (idle_) close();
  }
  void close() {
    error_code ignored;
    stream_.socket().close(ignored);
  }
  asio::any_io_executor executor() { return stream_.get_executor(); }

 private:
  static std::size_t max_buffer(const HttpServerOptions& options) {
    return options.header_limit_bytes + 4 * kReadChunk;
  }
  void wait_for_request(std::chrono::milliseconds timeout);
  void read_header();
  void on_header(error_code error);
  void read_body();
  void on_request();
  void on_read_error(error_code error);
  void on_written(error_code error);
  void linger();

  HttpServerState& server_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> response_;
  unsigned version_ = 11;
  bool idle_ = false;
  bool keep_alive_ = false;
  bool lingers_ = false;
  bool head_ = false;
};

}  // namespace detail

struct Responder::State {
  explicit State(std::shared_ptr<void> the_session) : session(std::move(the_session)) {}
  ~State() { answer(error_response(500, "internal error")); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void answer(HttpResponse response) {
    if (answered.exchange(true)) return;
    auto owner = std::static_pointer_cast<detail::Session>(std::move(session));
    const asio::any_io_executor executor = owner->executor();
    asio::post(executor, [owner = std::move(owner), reply = std::move(response)]() mutable {
      owner->respond(std::move(reply));
    });
  }

  std::shared_ptr<void> session;
  std::atomic<bool> answered{false};
  std::mutex mutex;
  HttpResponse streamed;
};

void Responder::operator()(HttpResponse response) const { state_->answer(std::move(response)); }

void Responder::begin(HttpResponse head) const {
  const std::lock_guard lock(state_->mutex);
  state_->streamed = std::move(head);
}

bool Responder::part(std::string bytes) const {
  const std::lock_guard lock(state_->mutex);
  state_->streamed.body += bytes;
  return true;
}

void Responder::end() const { state_->answer(std::move(state_->streamed)); }

namespace detail {

void Session::wait_for_request(std::chrono::milliseconds timeout) {
  if (server_.stopping) return close();
  parser_.emplace();
  parser_->header_limit(server_.options.header_limit_bytes);
  parser_->body_limit(server_.options.body_limit_bytes);
  if (buffer_.size() > 0) return read_header();
  idle_ = true;
  stream_.expires_after(timeout);
  stream_.async_read_some(buffer_.prepare(kReadChunk),
                          [self = shared_from_this()](error_code error, std::size_t bytes) {
                            self->idle_ = false;
                            if (error) return self->close();
                            self->buffer_.commit(bytes);
                            self->read_header();
                          });
}

void Session::read_header() {
  stream_.expires_after(server_.options.header_timeout);
  http::async_read_header(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
}

void Session::on_header(error_code error) {
  if (error) return on_read_error(error);
  const auto& message = parser_->get();
  version_ = message.version();
  if (message.count(http::field::expect) == 0) return read_body();
  if (!beast::iequals(message[http::field::expect], "100-continue")) {
    return refuse(417, "only Expect: 100-continue is known");
  }
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  stream_.expires_after(server_.options.write_timeout);
  asio::async_write(stream_, asio::buffer(kContinue),
                    [self = shared_from_this()](error_code failed, std::size_t) {
                      if (failed) return self->close();
                      self->read_body();
                    });
}

void Session::read_body() {
  stream_.expires_after(server_.options.read_timeout);
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](error_code error, std::size_t) {
                     if (error) return self->on_read_error(error);
                     self->on_request();
                   });
}

void Session::on_read_error(error_code error) {
  if (error == http::error::body_limit) {
    return refuse(413,
                  fmt::format("body is larger than {} bytes", server_.options.body_limit_bytes));
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return refuse(
        431, fmt::format("header is larger than {} bytes", server_.options.header_limit_bytes));
  }
  // A peer that went away, or was too slow: there is nobody to answer.
  static const auto& http_category = http::make_error_code(http::error::end_of_stream).category();
  const bool gone = error == http::error::end_of_stream || error == http::error::partial_message;
  if (gone || error.category() != http_category) return close();
  refuse(400, fmt::format("not HTTP/1.1: {}", error.message()));
}

void Session::on_request() {
  auto message = parser_->release();
  keep_alive_ = message.keep_alive();
  head_ = message.method() == http::verb::head;
  HttpRequest request;
  request.arrived = std::chrono::steady_clock::now();
  request.method = message.method_string();
  request.target = message.target();
  for (const auto& field : message) {
    request.headers.emplace_back(field.name_string(), field.value());
  }
  request.body = std::move(message.body());
  stream_.expires_never();
  try {
    if (server_.quick) {
      if (std::optional<HttpResponse> response = server_.quick(request)) {
        return respond(std::move(*response));
      }
    }
  } catch (const std::exception&) {
    return respond(error_response(500, "internal error"));
  }
  server_.dispatch(std::move(request), Responder(std::make_shared<Responder::State>(
                                           std::static_pointer_cast<void>(shared_from_this()))));
}

void Session::respond(HttpResponse response) {
  if (server_.stopping) keep_alive_ = false;
  response_.emplace(static_cast<http::status>(response.status), version_);
  for (const auto& [name, value] : response.headers) response_->insert(name, value);
  response_->set(http::field::server, "branchy");
  response_->body() = std::move(response.body);
  // Without a body to a HEAD its length would mislead a client that keeps the connection.
  if (head_) {
    response_->body().clear();
    keep_alive_ = false;
  }
  response_->keep_alive(keep_alive_);
  response_->prepare_payload();
  stream_.expires_after(server_.options.write_timeout);
  http::async_write(
      stream_, *response_,
      [self = shared_from_this()](error_code error, std::size_t) { self->on_written(error); });
}

void Session::on_written(error_code error) {
  response_.reset();
  if (error) return close();
  if (keep_alive_) return wait_for_request(server_.options.idle_timeout);
  if (!lingers_) {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    return close();
  }
  error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  stream_.expires_after(kLingerTimeout);
  linger();
}

// A close with unread bytes resets the connection, and the peer may lose the answer: so what it
// still sends is read and dropped for a while.
void Session::linger() {
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(kReadChunk),
                          [self = shared_from_this()](error_code error, std::size_t) {
                            if (error) return self->close();
                            self->linger();
                          });
}

HttpServerState::HttpServerState(HttpServerOptions the_options, HttpServer::QuickHandler the_quick,
                                 HttpServer::Handler the_handler)
    : options(std::move(the_options)),
      quick(std::move(the_quick)),
      handler(std::move(the_handler)) {
  error_code error;
  const auto address = asio::ip::make_address(options.host, error);
  if (error) {
    throw IoError(
        fmt::format("[server] host '{}' is no numeric address; give for example "
                    "127.0.0.1 or 0.0.0.0",
                    options.host));
  }
  const tcp::endpoint endpoint(address, static_cast<std::uint16_t>(options.port));
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    throw IoError(
        fmt::format("[server] cannot listen on {}:{}: {}; choose another --host or "
                    "--port",
                    options.host, options.port, error.message()));
  }
  port = acceptor.local_endpoint().port();
}

void HttpServerState::accept() {
  acceptor.async_accept([this](error_code error, tcp::socket socket) {
    if (stopping || error == asio::error::operation_aborted) return;
    if (error) {
      // Most likely out of descriptors: wait for some to be freed instead of spinning.
      accept_timer.expires_after(std::chrono::milliseconds(100));
      accept_timer.async_wait([this](error_code cancelled) {
        if (!cancelled && !stopping) accept();
      });
      return;
    }
    const std::size_t open = sessions.size();
    if (open < 2 * options.max_connections) {  // beyond, even the refusal is too much: just close
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      const auto session = std::make_shared<Session>(*this, std::move(socket));
      if (open < options.max_connections) {
        session->start();
      } else {
        session->refuse(503, "too many connections");
      }
    }
    accept();
  });
}

void HttpServerState::session_ended(Session* session) {
  sessions.erase(session);
  if (stopping && sessions.empty()) drain_timer.cancel();
}

void HttpServerState::dispatch(HttpRequest request, const Responder& responder) {
  std::function<void()> task = [this, request = std::move(request), responder]() mutable {
    try {
      handler(std::move(request), responder);
    } catch (const std::exception&) {
      responder(error_response(500, "internal error"));
    }
  };
  if (!queue->try_push(task)) responder(error_response(503, "overloaded; try again later"));
}

void HttpServerState::begin_stop(std::chrono::milliseconds drain_limit) {
  stopping = true;
  error_code ignored;
  acceptor.close(ignored);
  accept_timer.cancel();
  for (Session* session : sessions) session->close_if_idle();
  if (sessions.empty()) return;
  // This timer keeps the I/O thread running until the last session has ended.
  drain_timer.expires_after(drain_limit);
  drain_timer.async_wait([this](error_code cancelled) {
    if (cancelled) return;
    for (Session* session : sessions) session->close();
    io.stop();
  });
}

}  // namespace detail

HttpServer::HttpServer(HttpServerOptions options, QuickHandler quick, Handler handler)
    : state_(std::make_unique<detail::HttpServerState>(std::move(options), std::move(quick),
                                                       std::move(handler))) {}

HttpServer::~HttpServer() {
  stop(std::chrono::milliseconds(0));
  // Sessions that io.stop() left behind end here, while the set that they leave still exists.
  state_->stopping = false;
}

int HttpServer::port() const { return state_->port; }

void HttpServer::reload_tls() {}

HttpServer::Stats HttpServer::stats() const { return {}; }

void HttpServer::start() {
  state_->queue = std::make_unique<WorkQueue>(
      WorkQueue::Options{.workers = state_->options.workers,
                         .limit = state_->options.queue_limit,
                         .on_worker_start = state_->options.on_worker_start});
  state_->started = true;
  state_->accept();
  state_->io_thread = std::thread([state = state_.get()] {
    unpin_this_thread();
    state->io.run();
  });
}

void HttpServer::stop(std::chrono::milliseconds drain_limit) {
  if (!state_->started || state_->stopped) return;
  state_->stopped = true;
  asio::post(state_->io, [state = state_.get(), drain_limit] { state->begin_stop(drain_limit); });
  state_->io_thread.join();
  state_->queue->stop();
}

}  // namespace branchy
