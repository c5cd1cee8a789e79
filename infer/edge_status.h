// The body of GET /v2/edge/status: the figures of the live page as JSON (PROTOCOL.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "infer/edge_statistics.h"
#include "infer/model.h"

namespace branchy {

/// What a reader has seen already and need not get again.
struct EdgeStatusQuery {
  std::int64_t since = 0;        ///< history from this interval on
  std::int64_t after_image = 0;  ///< images behind this one
  std::int64_t started = 0;      ///< of which process: another one's numbers say nothing here
};

/// Reads `?since=N&image=N&started=N`, all optional, in any order; others are ignored. Throws
/// HttpError 400 for a value that is no number from 0 on.
[[nodiscard]] EdgeStatusQuery parse_status_query(std::string_view target);

/// What does not change while a process runs.
struct EdgeIdentity {
  std::string model;
  std::int64_t num_exits = 0;   ///< of the whole network
  std::int64_t edge_exits = 0;  ///< of them here
  std::int64_t started = 0;     ///< Unix time in milliseconds
};

[[nodiscard]] std::string edge_status_json(const EdgeIdentity& identity, const EdgeStatus& status,
                                           const EdgeStatistics::Snapshot& snapshot,
                                           double uptime_seconds);

}  // namespace branchy
