// LinkEmulator: a TCP relay that makes loopback behave like a network link; needs no root.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "experiments/link_conditions.h"

namespace branchy {

struct LinkOptions {
  std::string listen_host = "127.0.0.1";  ///< numeric
  int listen_port = 0;                    ///< 0: any free one
  std::string target_host = "127.0.0.1";  ///< numeric
  int target_port = 0;
  LinkConditions conditions = {};
  LinkScript script = {};  ///< starts with the link
  std::uint64_t seed = 1;  ///< of jitter and resets
};

struct LinkStats {
  std::int64_t connections = 0, open = 0;
  std::int64_t resets = 0;                    ///< connections that the link reset or cut
  std::int64_t up_bytes = 0, down_bytes = 0;  ///< delivered
};

/// Relays every connection to the target, on one thread of its own.
///
/// 1. Payload passes in segments of 1460 bytes. A segment leaves when the link is free, occupies
///    it for its bits / bandwidth, and arrives half a round trip later: S bytes in one piece are
///    there after S * 8 / bandwidth + round trip / 2. All connections share each direction, first
///    come, first served.
/// 2. A connection's first byte leaves one round trip after it was opened, as behind TCP's
///    handshake (the client's connect() itself returns at once).
/// 3. Headers of TCP/IP take no bandwidth, there is no slow start and no loss of packets: the
///    bandwidth is that of a warm connection's payload.
/// 4. A sender is read ahead by at most 256 KiB and what is on the way, as by a socket's buffer.
class LinkEmulator {
 public:
  /// Listens when it returns. Throws ConfigError for bad options, IoError when it cannot listen.
  explicit LinkEmulator(const LinkOptions& options);
  ~LinkEmulator();
  LinkEmulator(const LinkEmulator&) = delete;
  LinkEmulator& operator=(const LinkEmulator&) = delete;

  [[nodiscard]] int port() const;
  /// From now on; what is on the way arrives as it was. From any thread, as the functions below.
  void set(const LinkConditions& conditions);
  void reset_connections();
  [[nodiscard]] LinkStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
