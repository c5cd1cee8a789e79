#include "infer/http_client.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "core/error.h"
#include "infer/content_encoding.h"
#include "infer/socket_channel.h"
#include "infer/tcp_connect.h"
#include "infer/tls_context.h"

namespace branchy {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Status = SocketChannel::Status;
using Parser = http::response_parser<http::string_body>;

constexpr std::size_t kReadBytes = 64 << 10;
constexpr int kMaxInterim = 4;  // answers like 100 Continue before the real one

// What one attempt came to: an exchange, or why there is none.
struct Attempt {
  std::optional<HttpExchange> exchange;
  FailureKind kind = FailureKind::kClosed;
  std::string reason;
  bool answer_began = false;
};

// A connection, plain or TLS; every call ends by the deadline.
class Connection {
 public:
  explicit Connection(int descriptor) : descriptor_(descriptor), channel_(descriptor) {}
  ~Connection() { ::close(descriptor_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Status shake_hands(const TlsContext& context, const std::string& host,
                     Clock::time_point deadline) {
    channel_.begin_tls_client(context, host);
    for (;;) {
      const Status status = channel_.handshake();
      if (!awaited(status, deadline)) return status;
    }
  }
  /// kDone, or how it ended; kWantWrite: the deadline passed.
  Status write(std::string_view head, std::string_view body, Clock::time_point deadline) {
    while (!head.empty() || !body.empty()) {
      const std::array<std::string_view, 2> pieces = {head, body};
      const auto transfer =
          channel_.write(head.empty() ? std::span(pieces).subspan(1) : std::span(pieces));
      if (transfer.status == Status::kDone) {
        const std::size_t of_head = std::min(transfer.bytes, head.size());
        head.remove_prefix(of_head);
        body.remove_prefix(transfer.bytes - of_head);
      } else if (!awaited(transfer.status, deadline)) {
        return transfer.status;
      }
    }
    return Status::kDone;
  }
  /// kDone with bytes, or how it ended; kWantRead: the deadline passed.
  SocketChannel::Transfer read(std::span<char> dst, Clock::time_point deadline) {
    for (;;) {
      const auto transfer = channel_.read(dst);
      if (!awaited(transfer.status, deadline)) return transfer;
    }
  }
  /// Between two requests: open, and without bytes that nobody asked for.
  bool is_quiet() {
    char byte = 0;
    return channel_.read({&byte, 1}).status == Status::kWantRead;
  }
  [[nodiscard]] const std::string& failure() const { return channel_.failure(); }

 private:
  // Whether it is worth trying again.
  bool awaited(Status status, Clock::time_point deadline) const {
    if (status != Status::kWantRead && status != Status::kWantWrite) return false;
    return await_socket(descriptor_, status == Status::kWantWrite, deadline);
  }

  int descriptor_;
  SocketChannel channel_;
};

bool timed_out(Status status) {
  return status == Status::kWantRead || status == Status::kWantWrite;
}

void append_field(std::string& head, std::string_view name, std::string_view value) {
  if (name.find_first_of("\r\n:") != std::string_view::npos ||
      value.find_first_of("\r\n") != std::string_view::npos) {
    throw Error(fmt::format("[http] header field {} holds a line break", name.substr(0, 40)));
  }
  head.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

struct HttpClient::Impl {
  std::string request_head(const HttpRequest& request) const;
  std::optional<Failure> connect(Clock::time_point deadline);
  Attempt attempt(std::string_view head, std::string_view body, Clock::time_point deadline);
  // Reads one message; nothing in `attempt.reason` when it came whole.
  void read(Parser& parser, Attempt& attempt, Clock::time_point deadline,
            std::int64_t& bytes_received);
  bool decode(HttpResponse& response) const;
  void close() {
    connection.reset();
    pending.clear();
  }
  Failure failure(FailureKind kind, std::string_view reason) {
    close();
    return {kind, fmt::format("[{}] {}", url.to_string(), reason)};
  }

  HttpUrl url;
  HttpClientOptions options;
  std::shared_ptr<const TlsContext> tls;
  std::optional<Connection> connection;
  std::string pending;  // came, but belongs to the next answer
  std::vector<char> scratch = std::vector<char>(kReadBytes);
};

std::string HttpClient::Impl::request_head(const HttpRequest& request) const {
  std::string head = fmt::format("{} {} HTTP/1.1\r\n", request.method, request.target);
  append_field(head, "Host", url.authority());
  for (const auto& [name, value] : request.headers) append_field(head, name, value);
  if (!options.bearer_token.empty()) {
    append_field(head, "Authorization", "Bearer " + options.bearer_token);
  }
  if (options.accept_gzip) append_field(head, "Accept-Encoding", "gzip");
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
    append_field(head, "Content-Length", std::to_string(request.body.size()));
  }
  return head + "\r\n";
}

std::optional<Failure> HttpClient::Impl::connect(Clock::time_point deadline) {
  close();
  const TcpConnection opened = tcp_connect(url.host, url.port, deadline);
  if (opened.descriptor < 0) {
    const FailureKind kind =
        Clock::now() >= deadline ? FailureKind::kTimeout : FailureKind::kRefused;
    return failure(kind, fmt::format("cannot connect: {}", opened.error));
  }
  connection.emplace(opened.descriptor);
  if (!tls) return std::nullopt;
  const Status status = connection->shake_hands(*tls, url.host, deadline);
  if (status == Status::kDone) return std::nullopt;
  if (timed_out(status))
    return failure(FailureKind::kTimeout, "cannot connect: TLS handshake late");
  const std::string reason = connection->failure();
  return failure(FailureKind::kRefused,
                 fmt::format("cannot connect: {}",
                             reason.empty() ? "closed during the TLS handshake" : reason));
}

void HttpClient::Impl::read(Parser& parser, Attempt& attempt, Clock::time_point deadline,
                            std::int64_t& bytes_received) {
  parser.header_limit(options.header_limit_bytes);
  parser.body_limit(options.body_limit_bytes);
  parser.eager(true);
  while (!parser.is_done()) {
    error_code error = http::error::need_more;
    std::size_t used = 0;
    // Beast asserts that it sees at least "0\r\n\r\n" of a last chunk.
    if (pending.size() >= (parser.is_header_done() && parser.chunked() ? 5U : 1U)) {
      used = parser.put(asio::buffer(pending), error);
    }
    pending.erase(0, used);
    bytes_received += static_cast<std::int64_t>(used);
    attempt.answer_began = attempt.answer_began || used > 0;
    if (parser.is_done()) return;
    // Beast's own limit counts from the last field that it has taken; and between chunks a line of
    // extensions or a trailer may wait, but not without end.
    const std::size_t held =
        pending.size() + (parser.is_header_done() ? 0 : static_cast<std::size_t>(bytes_received));
    if ((!error || error == http::error::need_more) && held > options.header_limit_bytes) {
      error = http::error::header_limit;
    }
    if (error && error != http::error::need_more) {
      attempt.kind = FailureKind::kProtocol;
      attempt.reason = fmt::format("answer is not HTTP: {}", error.message());
      return;
    }
    const auto transfer = connection->read(scratch, deadline);
    if (transfer.status == Status::kDone) {
      attempt.answer_began = true;
      pending.append(scratch.data(), transfer.bytes);
      continue;
    }
    if (timed_out(transfer.status)) {
      attempt.kind = FailureKind::kTimeout;
      attempt.reason = "no answer";
      return;
    }
    // Without a length the end of the connection is the end of the answer.
    if (transfer.status == Status::kClosed && parser.got_some()) {
      parser.put_eof(error);
      if (!error) return;
    }
    attempt.kind = FailureKind::kClosed;
    attempt.reason = "connection closed before the answer was whole";
    return;
  }
}

bool HttpClient::Impl::decode(HttpResponse& response) const {
  const auto field = find_header(response.headers, "Content-Encoding");
  if (!field) return true;
  const std::optional<ContentCoding> coding = parse_content_coding(*field);
  if (!coding) return false;
  if (*coding == ContentCoding::kIdentity) return true;
  std::string decoded;
  if (decode_content(*coding, response.body, options.body_limit_bytes, decoded) !=
      DecodeOutcome::kDone) {
    return false;
  }
  response.body = std::move(decoded);
  std::erase_if(response.headers, [](const HttpHeaders::value_type& header) {
    return find_header({header}, "Content-Encoding") || find_header({header}, "Content-Length");
  });
  return true;
}

Attempt HttpClient::Impl::attempt(std::string_view head, std::string_view body,
                                  Clock::time_point deadline) {
  Attempt attempt;
  const bool is_head = head.starts_with("HEAD ");
  const Status written = connection->write(head, body, deadline);
  if (timed_out(written)) {
    attempt.kind = FailureKind::kTimeout;
    return attempt;
  }
  // After a failed write there may still be an answer: a server that refuses a large body speaks
  // before it has read it all.
  for (int interim = 0; interim <= kMaxInterim; ++interim) {
    Parser parser;
    parser.skip(is_head);
    std::int64_t bytes_received = 0;
    read(parser, attempt, deadline, bytes_received);
    if (!attempt.reason.empty()) return attempt;
    auto answer = parser.release();
    if (answer.result_int() >= 100 && answer.result_int() < 200) continue;
    HttpExchange exchange;
    exchange.response.status = static_cast<int>(answer.result_int());
    for (const auto& field : answer) {
      exchange.response.headers.emplace_back(field.name_string(), field.value());
    }
    exchange.response.body = std::move(answer.body());
    exchange.bytes_sent = static_cast<std::int64_t>(head.size() + body.size());
    exchange.bytes_received = bytes_received;
    // Bytes beyond the answer belong to no request.
    if (!answer.keep_alive() || written != Status::kDone || !pending.empty()) close();
    attempt.exchange = std::move(exchange);
    return attempt;
  }
  attempt.kind = FailureKind::kProtocol;
  attempt.reason = "answer is not HTTP: too many interim answers";
  return attempt;
}

HttpClient::HttpClient(HttpUrl url, HttpClientOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->url = std::move(url);
  impl_->options = std::move(options);
  if (impl_->url.tls) impl_->tls = TlsContext::for_client(impl_->options.ca_file);
}

HttpClient::~HttpClient() = default;

const HttpUrl& HttpClient::url() const { return impl_->url; }

void HttpClient::disconnect() { impl_->close(); }

Result<HttpExchange> HttpClient::exchange(const HttpRequest& request,
                                          std::chrono::milliseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  const std::string head = impl_->request_head(request);
  bool reused = impl_->connection && impl_->connection->is_quiet();
  for (;; reused = false) {
    if (!reused) {
      if (std::optional<Failure> failure = impl_->connect(deadline)) return std::move(*failure);
    }
    Attempt attempt = impl_->attempt(head, request.body, deadline);
    if (attempt.exchange) {
      if (impl_->decode(attempt.exchange->response)) return std::move(*attempt.exchange);
      return impl_->failure(FailureKind::kProtocol,
                            "answer's Content-Encoding is damaged, unknown "
                            "or larger than expected");
    }
    if (reused && attempt.kind == FailureKind::kClosed && !attempt.answer_began) continue;
    if (attempt.kind == FailureKind::kTimeout) {
      return impl_->failure(attempt.kind, fmt::format("no answer within {} ms", timeout.count()));
    }
    return impl_->failure(attempt.kind, attempt.reason);
  }
}

}  // namespace branchy
