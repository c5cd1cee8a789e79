// The status line and header fields of an answer as they go over the wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "infer/http_message.h"

namespace branchy {

/// What a connection adds to an answer.
struct HttpFraming {
  bool http_1_0 = false;
  bool keep_alive = true;
  /// Bytes of the body; nothing: it comes in chunks, or to HTTP/1.0 until the connection ends.
  std::optional<std::uint64_t> content_length;
};

/// Ends with the empty line. Line breaks within a field become blanks, so that no value can add a
/// field.
[[nodiscard]] std::string http_response_head(const HttpResponse& response,
                                             const HttpFraming& framing);

}  // namespace branchy
