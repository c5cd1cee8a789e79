// Malformed requests: seeded damage to a good one, sent to a real server.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/rng.h"

namespace branchy {

/// A copy of an HTTP request with one to four edits: bytes changed, cut, inserted or repeated, a
/// number of its head made another, a header line doubled or dropped, the end cut off. Most edits
/// are in the head and the JSON part.
[[nodiscard]] std::string malformed(std::string_view request, Rng& rng);

/// What a server said.
struct MalformedReport {
  std::int64_t sent = 0;
  std::map<int, std::int64_t> by_status;  ///< 0: closed without an answer
  std::int64_t no_http = 0;               ///< answers that are no HTTP/1.1 status line
  std::int64_t silent = 0;                ///< neither answered nor closed within 10 s
  std::int64_t refused = 0;               ///< no connection
};

/// Sends `count` of them to 127.0.0.1:`port`, each over a connection of its own on which nothing
/// more follows, `threads` at a time. The same seed gives the same requests.
[[nodiscard]] MalformedReport send_malformed(std::string_view request, int port, std::int64_t count,
                                             int threads, std::uint64_t seed);

}  // namespace branchy
