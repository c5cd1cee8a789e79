// LinkConditions: what a network between two programs does to their bytes, and a script of changes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace branchy {

/// "Up" is from who connects (the edge) to the target (the cloud). One link for all connections.
struct LinkConditions {
  double up_mbit = 0;    ///< 10^6 payload bits a second; 0: unlimited
  double down_mbit = 0;  ///< likewise, towards who connected
  double round_trip_ms = 0;
  double jitter_ms = 0;  ///< each segment takes up to so much longer, uniformly; order is kept
  double reset_probability = 0;             ///< of each segment, to reset its connection
  std::int64_t reset_after_bytes = 0;       ///< both ways together; 0: never
  std::int64_t cut_answer_after_bytes = 0;  ///< closes orderly towards who connected; 0: never
  bool stalled = false;     ///< nothing passes, nothing is lost: it goes on when this ends
  bool black_hole = false;  ///< what passes is lost; a connection that lost bytes stays silent

  friend bool operator==(const LinkConditions&, const LinkConditions&) = default;
};

/// Values by name (booleans as 0 and 1) that take hold at a time.
struct LinkChange {
  double at_ms = 0;
  std::vector<std::pair<std::string, double>> values;
  bool reset = false;  ///< also: reset all open connections now
};

/// In order of time, from the start of the link; after `loop_ms` (0: never) from the beginning.
struct LinkScript {
  std::vector<LinkChange> changes;
  double loop_ms = 0;
};

/// Reads `{"loop_ms": 4000, "changes": [{"at_ms": 1000, "stalled": true}, {"at_ms": 2000,
/// "stalled": false, "mbit": 5, "reset": true}]}`; the names are those of LinkConditions, and
/// `mbit` for both ways. Throws DataError naming `place` and what is wrong.
[[nodiscard]] LinkScript parse_link_script(std::string_view text, std::string_view place);
[[nodiscard]] LinkScript load_link_script(const std::filesystem::path& path);

/// `conditions` after a change. Throws ConfigError for an unknown name or a value out of range.
[[nodiscard]] LinkConditions changed(LinkConditions conditions, const LinkChange& change);
/// Throws ConfigError for a value out of range.
void check_link(const LinkConditions& conditions);

}  // namespace branchy
