// The address that a server listens on, as a user writes it.
#pragma once

#include <string>
#include <string_view>

namespace branchy {

struct ListenAddress {
  std::string host;  ///< numeric
  int port = 0;      ///< 0: any free one
};

/// Reads `HOST:PORT`, an IPv6 host in brackets. Throws ConfigError, beginning with `place`, for
/// anything else or a port outside 0..65535.
[[nodiscard]] ListenAddress parse_listen_address(std::string_view text, std::string_view place);

}  // namespace branchy
