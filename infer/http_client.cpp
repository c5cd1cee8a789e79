#include "infer/http_client.h"

#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace branchy {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Endpoints = std::vector<tcp::endpoint>;

// A name look-up cannot be cancelled, so it runs on a thread of its own that outlives a caller
// whose deadline has passed.
struct Lookup {
  std::mutex mutex;
  std::condition_variable finished;
  std::optional<Endpoints> endpoints;
};

Endpoints look_up(const HttpUrl& url, Clock::time_point deadline) {
  const auto port = static_cast<std::uint16_t>(url.port);
  error_code error;
  const auto address = asio::ip::make_address(url.host, error);
  if (!error) return {tcp::endpoint(address, port)};
  auto lookup = std::make_shared<Lookup>();
  std::thread([lookup, host = url.host, service = std::to_string(url.port)] {
    Endpoints found;
    asio::io_context io;
    error_code failed;
    for (const auto& entry : tcp::resolver(io).resolve(host, service, failed)) {
      found.push_back(entry.endpoint());
    }
    const std::lock_guard lock(lookup->mutex);
    lookup->endpoints = std::move(found);
    lookup->finished.notify_one();
  }).detach();
  std::unique_lock lock(lookup->mutex);
  lookup->finished.wait_until(lock, deadline, [&] { return lookup->endpoints.has_value(); });
  return lookup->endpoints.value_or(Endpoints());
}

FailureKind kind_of(error_code error) {
  static const auto& http_category = http::make_error_code(http::error::end_of_stream).category();
  if (error == beast::error::timeout) return FailureKind::kTimeout;
  if (error == http::error::end_of_stream || error == http::error::partial_message) {
    return FailureKind::kClosed;
  }
  return error.category() == http_category ? FailureKind::kProtocol : FailureKind::kClosed;
}

}  // namespace

struct HttpClient::Impl {
  // What one attempt came to: an exchange, or an error and whether any byte of an answer came.
  struct Attempt {
    std::optional<HttpExchange> exchange;
    error_code error;
    bool answer_began = false;
  };

  error_code connect(Clock::time_point deadline);
  Attempt attempt(const http::request<http::string_body>& message, Clock::time_point deadline);
  // Runs what has been started; its own expiry timer ends it.
  void run() {
    io.restart();
    io.run();
  }
  void close() {
    stream.reset();
    buffer.clear();
  }
  Failure failure(FailureKind kind, std::string_view reason) {
    close();
    return {kind, fmt::format("[{}] {}", url.to_string(), reason)};
  }

  HttpUrl url;
  HttpClientOptions options;
  asio::io_context io{1};
  Endpoints endpoints;
  std::optional<beast::tcp_stream> stream;
  beast::flat_buffer buffer;
};

error_code HttpClient::Impl::connect(Clock::time_point deadline) {
  close();
  if (endpoints.empty()) endpoints = look_up(url, deadline);
  if (endpoints.empty()) return asio::error::host_not_found;
  stream.emplace(io);
  stream->expires_at(deadline);
  error_code result;
  stream->async_connect(endpoints, [&](error_code error, const tcp::endpoint&) { result = error; });
  run();
  if (result) {
    endpoints.clear();  // the name may point elsewhere the next time
    close();
    return result;
  }
  stream->socket().set_option(tcp::no_delay(true), result);
  return {};
}

HttpClient::Impl::Attempt HttpClient::Impl::attempt(const http::request<http::string_body>& message,
                                                    Clock::time_point deadline) {
  Attempt attempt;
  std::size_t sent = 0;
  stream->expires_at(deadline);
  http::async_write(*stream, message, [&](error_code error, std::size_t bytes) {
    attempt.error = error;
    sent = bytes;
  });
  run();
  if (attempt.error == beast::error::timeout) return attempt;
  // After a failed write there may still be an answer: a server that refuses a large body speaks
  // before it has read it all.
  const error_code write_error = attempt.error;
  for (int interim = 0; interim < 4; ++interim) {
    http::response_parser<http::string_body> parser;
    parser.header_limit(options.header_limit_bytes);
    parser.body_limit(options.body_limit_bytes);
    std::size_t received = 0;
    http::async_read(*stream, buffer, parser, [&](error_code error, std::size_t bytes) {
      attempt.error = error;
      received = bytes;
    });
    run();
    attempt.answer_began = attempt.answer_began || received > 0 || parser.got_some();
    if (attempt.error) {
      if (write_error && !attempt.answer_began) attempt.error = write_error;
      return attempt;
    }
    auto answer = parser.release();
    if (answer.result_int() >= 100 && answer.result_int() < 200) continue;
    HttpExchange exchange;
    exchange.response.status = static_cast<int>(answer.result_int());
    for (const auto& field : answer) {
      exchange.response.headers.emplace_back(field.name_string(), field.value());
    }
    exchange.response.body = std::move(answer.body());
    exchange.bytes_sent = static_cast<std::int64_t>(sent);
    exchange.bytes_received = static_cast<std::int64_t>(received);
    attempt.exchange = std::move(exchange);
    if (!answer.keep_alive() || write_error) close();
    return attempt;
  }
  attempt.error = http::error::bad_status;
  return attempt;
}

HttpClient::HttpClient(HttpUrl url, HttpClientOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->url = std::move(url);
  impl_->options = options;
}

HttpClient::~HttpClient() = default;

const HttpUrl& HttpClient::url() const { return impl_->url; }

void HttpClient::disconnect() { impl_->close(); }

Result<HttpExchange> HttpClient::exchange(const HttpRequest& request,
                                          std::chrono::milliseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  http::request<http::string_body> message;
  message.method_string(request.method);
  message.target(request.target);
  message.version(11);
  message.set(http::field::host, impl_->url.authority());
  for (const auto& [name, value] : request.headers) message.set(name, value);
  message.body() = request.body;
  message.prepare_payload();
  for (bool reused = impl_->stream.has_value();; reused = false) {
    if (!reused) {
      if (const error_code error = impl_->connect(deadline)) {
        const bool late = error == beast::error::timeout || Clock::now() >= deadline;
        return impl_->failure(late ? FailureKind::kTimeout : FailureKind::kRefused,
                              fmt::format("cannot connect: {}", error.message()));
      }
    }
    Impl::Attempt attempt = impl_->attempt(message, deadline);
    if (attempt.exchange) return std::move(*attempt.exchange);
    const FailureKind kind = kind_of(attempt.error);
    if (reused && kind == FailureKind::kClosed && !attempt.answer_began) continue;
    if (kind == FailureKind::kTimeout) {
      return impl_->failure(kind, fmt::format("no answer within {} ms", timeout.count()));
    }
    if (kind == FailureKind::kClosed) {
      return impl_->failure(kind, fmt::format("connection closed before the answer was whole ({})",
                                              attempt.error.message()));
    }
    return impl_->failure(kind, fmt::format("answer is not HTTP: {}", attempt.error.message()));
  }
}

}  // namespace branchy
