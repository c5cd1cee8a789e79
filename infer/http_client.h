// HttpClient: one kept-alive HTTP/1.1 connection with true deadlines.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "core/result.h"
#include "infer/http_message.h"

namespace branchy {

struct HttpClientOptions {
  std::uint32_t header_limit_bytes = 8 << 10;
  std::uint64_t body_limit_bytes = 16ULL << 20;  ///< of an answer, decoded; beyond: kProtocol
  std::string bearer_token = {};                 ///< sent as `Authorization: Bearer`; empty: none
  /// PEM file of the certificates that a server of `https://` must descend from; empty: those of
  /// the system.
  std::string ca_file = {};
  bool accept_gzip = false;  ///< ask for compressed answers; they are decoded in any case
};

/// An answer and what its exchange put on the wire, headers included.
struct HttpExchange {
  HttpResponse response;
  std::int64_t bytes_sent = 0;
  std::int64_t bytes_received = 0;
};

/// Blocking; one thread at a time. Connects at the first request and again when the connection
/// was lost; a request that met a kept connection closed by the peer is sent once more.
class HttpClient {
 public:
  /// Throws ConfigError when `ca_file` is needed and cannot be used.
  explicit HttpClient(HttpUrl url, HttpClientOptions options = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  [[nodiscard]] const HttpUrl& url() const;
  /// Sends and waits for the answer of any status. `timeout` bounds everything together: name
  /// look-up, connecting (TLS too), sending, and the last byte of the answer. A certificate that is
  /// not trusted is kRefused. Throws Error for a header field with a line break.
  [[nodiscard]] Result<HttpExchange> exchange(const HttpRequest& request,
                                              std::chrono::milliseconds timeout);
  /// Closes the connection; the next request opens another.
  void disconnect();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
