#include "experiments/timed_answer.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <functional>
#include <utility>

#include "core/error.h"

namespace branchy {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

}  // namespace

struct TimedClient::Impl {
  explicit Impl(HttpUrl server) : url(std::move(server)) {}

  // Runs what has been started; throws when it failed.
  void run(const error_code& error) {
    io.restart();
    io.run();
    if (!error) return;
    stream.close();
    connected = false;
    throw IoError(fmt::format("[{}] {}", url.to_string(), error.message()));
  }
  void connect() {
    if (connected) return;
    error_code error;
    stream.async_connect({asio::ip::make_address(url.host), static_cast<std::uint16_t>(url.port)},
                         [&](error_code failed) { error = failed; });
    run(error);
    stream.socket().set_option(tcp::no_delay(true));
    buffer.clear();
    connected = true;
  }

  HttpUrl url;
  asio::io_context io;
  beast::tcp_stream stream{io};
  beast::flat_buffer buffer;
  bool connected = false;
};

TimedClient::TimedClient(HttpUrl url) : impl_(new Impl(std::move(url))) {}
TimedClient::~TimedClient() = default;

TimedAnswer TimedClient::post(const std::string& path, const HttpHeaders& headers,
                              const std::string& body, std::chrono::milliseconds timeout) {
  std::string message = fmt::format("POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n", path,
                                    impl_->url.authority(), body.size());
  for (const auto& [name, value] : headers) message += fmt::format("{}: {}\r\n", name, value);
  message += "\r\n" + body;
  TimedAnswer answer{.bytes_sent = std::ssize(message)};
  beast::tcp_stream& stream = impl_->stream;
  stream.expires_after(timeout);
  impl_->connect();
  const Clock::time_point begin = Clock::now();
  const auto now_ms = [&] {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  };
  error_code error;
  http::response_parser<http::string_body> parser;
  parser.body_limit(256 << 20);
  std::size_t line_begin = 0;
  const std::function<void(error_code, std::size_t)> got = [&](error_code failed, std::size_t) {
    error = failed;
    const std::string& text = parser.get().body();
    for (std::size_t end = text.find('\n', line_begin); end != std::string::npos;
         end = text.find('\n', line_begin)) {
      answer.lines.push_back({now_ms(), text.substr(line_begin, end - line_begin)});
      line_begin = end + 1;
    }
    if (!failed && !parser.is_done()) http::async_read_some(stream, impl_->buffer, parser, got);
  };
  asio::async_write(stream, asio::buffer(message), [&](error_code failed, std::size_t) {
    error = failed;
    if (!failed) http::async_read_some(stream, impl_->buffer, parser, got);
  });
  impl_->run(error);
  answer.total_ms = now_ms();
  answer.status = static_cast<int>(parser.get().result_int());
  const std::string& text = parser.get().body();
  if (line_begin < text.size()) answer.lines.push_back({answer.total_ms, text.substr(line_begin)});
  if (!parser.get().keep_alive()) {
    stream.close();
    impl_->connected = false;
  }
  return answer;
}

}  // namespace branchy
