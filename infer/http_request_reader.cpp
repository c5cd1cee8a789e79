#include "infer/http_request_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <utility>

namespace branchy {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Refusal = HttpRequestReader::Refusal;
using Message = http::request<http::string_body>;

// Beast asserts that it sees no less of a last chunk, and each rest of chunks has as many bytes.
constexpr std::size_t kLeastOfChunks = std::string_view("0\r\n\r\n").size();

std::optional<Refusal> check_framing(const Message& message) {
  const auto lengths = message.count(http::field::content_length);
  const auto codings = message.count(http::field::transfer_encoding);
  if (lengths > 1) return Refusal{400, "Content-Length comes more than once"};
  if (lengths == 1) {
    if (codings > 0) return Refusal{400, "Content-Length and Transfer-Encoding exclude each other"};
    const auto length = message[http::field::content_length];
    if (!std::all_of(length.begin(), length.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return Refusal{400, "Content-Length is no number"};
    }
  }
  if (codings > 0) {
    if (message.version() < 11) return Refusal{400, "HTTP/1.0 has no Transfer-Encoding"};
    if (codings > 1 || !beast::iequals(message[http::field::transfer_encoding], "chunked")) {
      return Refusal{400, "only Transfer-Encoding: chunked is known"};
    }
  }
  const auto hosts = message.count(http::field::host);
  if (hosts > 1 || (hosts == 0 && message.version() >= 11)) {
    return Refusal{400, fmt::format("{} Host fields, expected one", hosts)};
  }
  return std::nullopt;
}

// RFC 9112 section 3.2: origin form, and for the sake of proxies the absolute form.
std::optional<std::string> origin_form(std::string_view target, std::string_view method) {
  if (target.starts_with('/') || (target == "*" && method == "OPTIONS")) return std::string(target);
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!beast::iequals(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const std::size_t path = target.find_first_of("/?");
    if (path == 0 || target.empty()) return std::nullopt;
    if (path == std::string_view::npos) return "/";
    std::string origin(target[path] == '?' ? "/" : "");
    return origin.append(target.substr(path));
  }
  return std::nullopt;
}

}  // namespace

struct HttpRequestReader::Impl {
  explicit Impl(const HttpRequestLimits& the_limits) : limits(the_limits) {
    parser.header_limit(limits.header_bytes);
    parser.body_limit(limits.body_bytes);
    parser.eager(false);
  }

  void refuse(error_code error);
  void take_header();

  HttpRequestLimits limits;
  http::request_parser<http::string_body> parser;
  std::size_t header_bytes = 0;  // so far
  bool has_header = false;
  bool expects_continue = false;
  std::optional<Refusal> refusal;
  HttpRequest request;
};

void HttpRequestReader::Impl::refuse(error_code error) {
  if (error == http::error::body_limit || error == http::error::buffer_overflow) {
    refusal = {413, fmt::format("body is larger than {} bytes", limits.body_bytes)};
  } else if (error == http::error::header_limit) {
    refusal = {431, fmt::format("header is larger than {} bytes", limits.header_bytes)};
  } else {
    refusal = {400, fmt::format("not HTTP/1.1: {}", error.message())};
  }
}

void HttpRequestReader::Impl::take_header() {
  has_header = true;
  const Message& message = parser.get();
  request.method = message.method_string();
  for (const auto& field : message) {
    request.headers.emplace_back(field.name_string(), field.value());
  }
  if (request.headers.size() > limits.header_fields) {
    refusal = {431, fmt::format("header has more than {} fields", limits.header_fields)};
    return;
  }
  refusal = check_framing(message);
  if (refusal) return;
  std::optional<std::string> target = origin_form(
      std::string_view(message.target().data(), message.target().size()), request.method);
  if (!target) {
    refusal = {400, "target is neither a path nor an http URL"};
    return;
  }
  request.target = std::move(*target);
  if (message.count(http::field::expect) == 0) return;
  expects_continue = beast::iequals(message[http::field::expect], "100-continue");
  if (!expects_continue) refusal = {417, "only Expect: 100-continue is known"};
}

HttpRequestReader::HttpRequestReader(const HttpRequestLimits& limits)
    : impl_(std::make_unique<Impl>(limits)) {}

HttpRequestReader::~HttpRequestReader() = default;

std::size_t HttpRequestReader::read(std::string_view bytes) {
  Impl& impl = *impl_;
  std::size_t used = 0;
  while (!impl.refusal && !impl.parser.is_done() && used < bytes.size()) {
    const bool between_chunks = impl.has_header && impl.parser.chunked();
    if (between_chunks && bytes.size() - used < kLeastOfChunks) break;
    error_code error;
    const std::size_t taken = impl.parser.put(asio::buffer(bytes.substr(used)), error);
    used += taken;
    if (!impl.has_header && (!error || error == http::error::need_more)) {
      // Beast's own limit counts from the last field that it has taken.
      impl.header_bytes += taken;
      const std::size_t waiting = error ? bytes.size() - used : 0;
      if (impl.header_bytes + waiting > impl.limits.header_bytes) error = http::error::header_limit;
    }
    if (error == http::error::need_more) {
      // What waits is a header, or between chunks a line of extensions or a trailer.
      if (bytes.size() - used > impl.limits.header_bytes) impl.refuse(http::error::header_limit);
      return used;
    }
    if (error) {
      impl.refuse(error);
      return used;
    }
    const bool header_ended = impl.parser.is_header_done() && !impl.has_header;
    if (header_ended) impl.take_header();
    if (impl.parser.is_done()) impl.request.body = std::move(impl.parser.get().body());
    if (header_ended) break;
  }
  return used;
}

bool HttpRequestReader::has_header() const { return impl_->has_header; }
bool HttpRequestReader::complete() const { return !impl_->refusal && impl_->parser.is_done(); }
const std::optional<Refusal>& HttpRequestReader::refusal() const { return impl_->refusal; }
HttpRequest& HttpRequestReader::request() { return impl_->request; }
bool HttpRequestReader::keep_alive() const { return impl_->parser.get().keep_alive(); }
bool HttpRequestReader::is_http_1_0() const { return impl_->parser.get().version() < 11; }
bool HttpRequestReader::expects_continue() const { return impl_->expects_continue; }
std::size_t HttpRequestReader::body_bytes() const {
  return complete() ? impl_->request.body.size() : impl_->parser.get().body().size();
}

}  // namespace branchy
