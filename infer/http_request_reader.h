// HttpRequestReader: one HTTP/1.1 request out of bytes as they come, within limits. No sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "infer/http_message.h"

namespace branchy {

struct HttpRequestLimits {
  std::uint32_t header_bytes = 8 << 10;
  std::uint32_t header_fields = 100;
  std::uint64_t body_bytes = 16ULL << 20;  ///< as sent, before decoding
};

/// Refuses with a status what is malformed, too large, or open to request smuggling (RFC 9112
/// section 11.2): a repeated or listed Content-Length, one beside a Transfer-Encoding, any other
/// Transfer-Encoding than `chunked`, and no or several Host fields.
class HttpRequestReader {
 public:
  struct Refusal {
    int status = 400;
    std::string text;
  };

  explicit HttpRequestReader(const HttpRequestLimits& limits);
  ~HttpRequestReader();
  HttpRequestReader(const HttpRequestReader&) = delete;
  HttpRequestReader& operator=(const HttpRequestReader&) = delete;

  /// Takes bytes from the front and says how many; the others must be offered again, followed by
  /// those that came since. Stops where the header ends, and where the request ends.
  [[nodiscard]] std::size_t read(std::string_view bytes);
  [[nodiscard]] bool has_header() const;
  [[nodiscard]] bool complete() const;
  /// Final: nothing more is read.
  [[nodiscard]] const std::optional<Refusal>& refusal() const;

  /// From has_header() on; its body from complete() on. `target` starts with / (or is * of
  /// OPTIONS): of an absolute one only the path is kept. Fields of a chunked body's trailer are
  /// dropped.
  [[nodiscard]] HttpRequest& request();
  /// The four below: from has_header() on.
  [[nodiscard]] bool keep_alive() const;
  /// HTTP/1.0: knows no chunks.
  [[nodiscard]] bool is_http_1_0() const;
  /// The client waits for `100 Continue` before it sends its body.
  [[nodiscard]] bool expects_continue() const;
  /// Of the body, as far as it has come.
  [[nodiscard]] std::size_t body_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
