// HTTP requests and responses as plain values, shared by server, client and routes.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace branchy {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// The first value of a header, whose name is compared without regard to case.
[[nodiscard]] std::optional<std::string_view> find_header(const HttpHeaders& headers,
                                                          std::string_view name);

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";  ///< path, with the query if there is one
  HttpHeaders headers = {};
  std::string body = {};
  /// Set by the server: when the header's first byte came. Deadlines count from here.
  std::chrono::steady_clock::time_point arrived = {};

  /// `target` without its query.
  [[nodiscard]] std::string_view path() const;
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers = {};  ///< Content-Length, Connection and Date are the server's business
  std::string body = {};
};

/// `{"error": text}` with the given status; bytes that are not UTF-8 are replaced.
[[nodiscard]] HttpResponse error_response(int status, std::string_view text);
/// A 200 with a JSON body.
[[nodiscard]] HttpResponse json_response(std::string body);

/// A server's address.
struct HttpUrl {
  std::string host;
  int port = 80;
  bool tls = false;

  /// `host:port`, the host in brackets when it is an IPv6 address: what the Host header carries.
  [[nodiscard]] std::string authority() const;
  /// `http://` or `https://` and the authority.
  [[nodiscard]] std::string to_string() const;
};

/// Reads `http[s]://host[:port][/]`, the port 80 or 443 unless given; throws ConfigError for
/// anything else (another scheme, a path, user names, a port outside 1..65535).
[[nodiscard]] HttpUrl parse_http_url(std::string_view text);

}  // namespace branchy
