#include "infer/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/threads.h"
#include "infer/http_server_state.h"
#include "infer/http_session.h"
#include "infer/open_file_limit.h"

namespace branchy {

bool is_health_path(std::string_view path) { return path.starts_with("/v2/health/"); }

namespace detail {
namespace {

constexpr std::size_t kScratchBytes = 64 << 10;
constexpr std::size_t kOtherFiles = 64;  // descriptors for all but connections
constexpr std::size_t kRefusals = 64;    // told so at the same time; beyond, just closed
constexpr int kAcceptsAtOnce = 64;       // before other events get their turn
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr auto kLookSpacing = std::chrono::milliseconds(20);

[[noreturn]] void cannot_listen(const HttpServerOptions& options) {
  throw IoError(fmt::format("[server] cannot listen on {}:{}: {}; choose another --host or --port",
                            options.host, options.port, std::generic_category().message(errno)));
}

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

Address parse_address(const HttpServerOptions& options, socklen_t& length) {
  Address address{};
  const auto port = htons(static_cast<std::uint16_t>(options.port));
  if (::inet_pton(AF_INET, options.host.c_str(), &address.v4.sin_addr) == 1) {
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = port;
    length = sizeof address.v4;
  } else if (::inet_pton(AF_INET6, options.host.c_str(), &address.v6.sin6_addr) == 1) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = port;
    length = sizeof address.v6;
  } else {
    throw IoError(fmt::format(
        "[server] host '{}' is no numeric address; give for example 127.0.0.1 or 0.0.0.0",
        options.host));
  }
  return address;
}

// A listening socket, never shared, and the port that it has got.
std::unique_ptr<IoSocket> listen(IoLoop& loop, const HttpServerOptions& options, int& port) {
  socklen_t length = 0;
  Address address = parse_address(options, length);
  const int descriptor =
      ::socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) cannot_listen(options);
  auto listener = std::make_unique<IoSocket>(loop, descriptor);
  const int yes = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);  // not while in use
  if (::bind(descriptor, &address.any, length) != 0 || ::listen(descriptor, SOMAXCONN) != 0 ||
      ::getsockname(descriptor, &address.any, &length) != 0) {
    cannot_listen(options);
  }
  port = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
  return listener;
}

void decode_body(ContentCoding coding, std::uint64_t limit_bytes, HttpRequest& request,
                 std::optional<HttpResponse>& refusal) {
  if (coding == ContentCoding::kIdentity) return;
  std::string decoded;
  const DecodeOutcome outcome = decode_content(coding, request.body, limit_bytes, decoded);
  if (outcome == DecodeOutcome::kTooLarge) {
    refusal = error_response(413, fmt::format("body is larger than {} bytes", limit_bytes));
  } else if (outcome == DecodeOutcome::kMalformed) {
    refusal = error_response(400, fmt::format("body is not {}", to_string(coding)));
  }
  request.body = std::move(decoded);
}

}  // namespace

HttpServerState::HttpServerState(HttpServerOptions the_options, HttpServer::QuickHandler the_quick,
                                 HttpServer::Handler the_handler)
    : options(std::move(the_options)),
      quick(std::move(the_quick)),
      handler(std::move(the_handler)),
      scratch(kScratchBytes) {
  set_tokens(options.tokens);
  load_tls();
  const std::size_t files = raise_open_file_limit();
  const std::size_t taken = kOtherFiles + kRefusals;
  max_connections = std::min(options.max_connections, files > 2 * taken ? files - taken : taken);
  listener = listen(loop, options, port);
}

void HttpServerState::load_tls() {
  if (options.tls_certificate.empty() && options.tls_key.empty()) return;
  if (options.tls_certificate.empty() || options.tls_key.empty()) {
    throw ConfigError("[tls] a certificate and its key go together; give both files or none");
  }
  auto context = TlsContext::for_server(options.tls_certificate, options.tls_key);
  const std::lock_guard lock(reload_mutex_);
  tls_ = std::move(context);
}

void HttpServerState::set_tokens(const std::vector<std::string>& tokens) {
  auto digests = std::make_shared<const BearerTokens>(tokens);
  const std::lock_guard lock(reload_mutex_);
  tokens_ = std::move(digests);
}

std::shared_ptr<const BearerTokens> HttpServerState::tokens() const {
  const std::lock_guard lock(reload_mutex_);
  return tokens_;
}

std::shared_ptr<const TlsContext> HttpServerState::tls() const {
  const std::lock_guard lock(reload_mutex_);
  return tls_;
}

void HttpServerState::accept() {
  for (int i = 0; i < kAcceptsAtOnce && !stopping; ++i) {
    const int descriptor =
        ::accept4(listener->descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      accept_one(descriptor);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      // Most likely out of descriptors: wait for some to be freed instead of spinning.
      return accept_timer.start(Clock::now() + kAcceptPause, [this] { accept(); });
    }
  }
  if (!stopping) listener->wait(IoSocket::Event::kReadable, [this] { accept(); });
}

void HttpServerState::accept_one(int descriptor) {
  const int yes = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  std::shared_ptr<HttpSession> session;
  try {
    session = std::make_shared<HttpSession>(*this, descriptor);
  } catch (const std::exception&) {  // no memory for another one
    ++counters.refused;
    return;
  }
  if (sessions.size() <= max_connections) {
    ++counters.accepted;
    return session->run_guarded([](HttpSession& accepted) { accepted.start(); });
  }
  ++counters.refused;
  // With TLS the refusal would cost a handshake.
  if (sessions.size() <= max_connections + kRefusals && !tls()) {
    session->refuse(error_response(503, "too many connections"));
  }
}

void HttpServerState::session_began(HttpSession* session) {
  sessions.insert(session);
  counters.open = sessions.size();
}

void HttpServerState::session_ended(HttpSession* session) {
  sessions.erase(session);
  counters.open = sessions.size();
  if (stopping && sessions.empty()) loop.stop();
}

void HttpServerState::watch(Clock::time_point deadline) {
  if (deadline >= next_look) return;
  next_look = deadline;
  deadline_timer.start(deadline, [this] { close_late_sessions(); });
}

void HttpServerState::close_late_sessions() {
  const auto now = Clock::now();
  std::vector<std::shared_ptr<HttpSession>> late;
  auto earliest = Clock::time_point::max();
  for (HttpSession* session : sessions) {
    if (session->deadline() <= now) {
      late.push_back(session->shared_from_this());
    } else {
      earliest = std::min(earliest, session->deadline());
    }
  }
  for (const auto& session : late) session->close();
  next_look = Clock::time_point::max();
  if (earliest != Clock::time_point::max()) watch(std::max(earliest, now + kLookSpacing));
}

void HttpServerState::dispatch(HttpRequest request, ContentCoding coding,
                               const Responder& responder) {
  std::function<void()> task = [this, coding, request = std::move(request), responder]() mutable {
    try {
      std::optional<HttpResponse> refusal;
      decode_body(coding, options.body_limit_bytes, request, refusal);
      if (refusal) return responder(std::move(*refusal));
      handler(std::move(request), responder);
    } catch (const std::exception&) {
      responder(error_response(500, "internal error"));
    }
  };
  if (!queue->try_push(task)) responder(error_response(503, "overloaded; try again later"));
}

void HttpServerState::begin_stop(std::chrono::milliseconds drain_limit) {
  stopping = true;
  listener->close();
  accept_timer.cancel();
  for (HttpSession* session : sessions) session->close_if_idle();
  if (sessions.empty()) return loop.stop();
  drain_timer.start(Clock::now() + drain_limit, [this] {
    for (HttpSession* session : sessions) session->close();
    loop.stop();
  });
}

}  // namespace detail

HttpServer::HttpServer(HttpServerOptions options, QuickHandler quick, Handler handler)
    : state_(std::make_unique<detail::HttpServerState>(std::move(options), std::move(quick),
                                                       std::move(handler))) {}

HttpServer::~HttpServer() {
  stop(std::chrono::milliseconds(0));
  // Sessions that the loop left behind end here, while the set that they leave still exists.
  state_->stopping = false;
}

int HttpServer::port() const { return state_->port; }

void HttpServer::start() {
  state_->queue = std::make_unique<WorkQueue>(
      WorkQueue::Options{.workers = state_->options.workers,
                         .limit = state_->options.queue_limit,
                         .on_worker_start = state_->options.on_worker_start});
  state_->started = true;
  state_->loop.post([state = state_.get()] { state->accept(); });
  state_->io_thread = std::thread([state = state_.get()] {
    unpin_this_thread();
    state->loop.run();
  });
}

void HttpServer::reload_tls() { state_->load_tls(); }
void HttpServer::set_tokens(const std::vector<std::string>& tokens) { state_->set_tokens(tokens); }

HttpServer::Stats HttpServer::stats() const {
  const detail::HttpServerState::Counters& counters = state_->counters;
  Stats stats{.connections_open = counters.open,
              .connections_accepted = counters.accepted,
              .connections_refused = counters.refused,
              .requests = counters.requests,
              .bytes_in = counters.bytes_in,
              .bytes_out = counters.bytes_out,
              .queue_length = state_->queue ? state_->queue->num_waiting() : 0};
  std::copy(counters.responses.begin(), counters.responses.end(), stats.responses.begin());
  return stats;
}

void HttpServer::stop(std::chrono::milliseconds drain_limit) {
  if (!state_->started || state_->stopped) return;
  state_->stopped = true;
  state_->loop.post([state = state_.get(), drain_limit] { state->begin_stop(drain_limit); });
  state_->io_thread.join();
  state_->queue->stop();
}

}  // namespace branchy
