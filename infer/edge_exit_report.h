// What an edge reports about the exits that answered there, as a request header.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace branchy {

/// Request header: answers by exit since the edge's last report that got a 2xx, `1=12,2=3`.
inline constexpr std::string_view kEdgeExitsHeader = "Branchy-Edge-Exits";

/// Number of answers by exit (from 1).
using EdgeExitCounts = std::map<std::int64_t, std::int64_t>;

/// The header's value; exits without answers are left out.
[[nodiscard]] std::string format_edge_exits(const EdgeExitCounts& counts);
/// Throws HttpError 400 unless it is a list of exits 1..64, none twice, with counts 0..10^9.
[[nodiscard]] EdgeExitCounts parse_edge_exits(std::string_view text);

}  // namespace branchy
