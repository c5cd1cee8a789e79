#include "infer/http_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace branchy {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

[[noreturn]] void bad_url(std::string_view text, const char* reason) {
  throw ConfigError(
      fmt::format("[url] '{}' {}; give http://HOST:PORT or https://HOST:PORT", text, reason));
}

int parse_port(std::string_view digits, std::string_view url) {
  int port = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, port);
  if (error != std::errc() || stop != end || port < 1 || port > 65535) {
    bad_url(url, "has no port within 1..65535");
  }
  return port;
}

}  // namespace

std::optional<std::string_view> find_header(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return std::nullopt;
}

std::string_view HttpRequest::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

HttpResponse error_response(int status, std::string_view text) {
  const nlohmann::json body = {{"error", std::string(text)}};
  HttpResponse response{.status = status, .headers = {{"Content-Type", "application/json"}}};
  response.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

HttpResponse json_response(std::string body) {
  HttpResponse response{.headers = {{"Content-Type", "application/json"}}};
  response.body = std::move(body);
  return response;
}

std::string HttpUrl::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::string HttpUrl::to_string() const { return (tls ? "https://" : "http://") + authority(); }

HttpUrl parse_http_url(std::string_view text) {
  HttpUrl url;
  url.tls = text.starts_with("https://");
  if (!url.tls && !text.starts_with("http://")) {
    bad_url(text, "does not start with http:// or https://");
  }
  url.port = url.tls ? 443 : 80;
  std::string_view rest = text.substr(text.find("//") + 2);
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  if (rest.find_first_of("/?#@ \t\r\n") != std::string_view::npos) {
    bad_url(text, "has more than a host and a port");
  }
  if (!rest.empty() && rest.front() == '[') {
    const std::size_t close = rest.find(']');
    if (close == std::string_view::npos) bad_url(text, "has no closing bracket");
    url.host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    if (!rest.empty() && rest.front() != ':') bad_url(text, "has text after the bracket");
  } else {
    const std::size_t colon = rest.find(':');
    url.host = rest.substr(0, colon);
    rest.remove_prefix(url.host.size());
  }
  if (url.host.empty()) bad_url(text, "has no host");
  if (!rest.empty()) url.port = parse_port(rest.substr(1), text);
  return url;
}

}  // namespace branchy
