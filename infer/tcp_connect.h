// Connecting to a host by name or address, with a deadline for the look-up too.
#pragma once

#include <chrono>
#include <string>

namespace branchy {

/// An open descriptor, or why there is none.
struct TcpConnection {
  int descriptor = -1;  ///< non-blocking, without Nagle's delay; the caller's to close
  std::string error;    ///< one line
};

/// Tries the host's addresses in turn, each for its share of the time that is left.
[[nodiscard]] TcpConnection tcp_connect(const std::string& host, int port,
                                        std::chrono::steady_clock::time_point deadline);

/// Waits until the descriptor is readable (or writable); false when the deadline came first.
[[nodiscard]] bool await_socket(int descriptor, bool writable,
                                std::chrono::steady_clock::time_point deadline);

}  // namespace branchy
