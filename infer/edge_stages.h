// EdgeStage: the parts of the time that an edge takes for an image, in their order.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "infer/edge_engine.h"

namespace branchy {

enum class EdgeStage { kDecode, kQueue, kEdge, kEncode, kRoundTrip, kCloud, kTotal };
inline constexpr std::size_t kNumEdgeStages = 7;

/// "decode", "queue", "edge", "encode", "round_trip", "cloud", "total".
[[nodiscard]] std::string_view to_string(EdgeStage stage);

/// Milliseconds by stage; nothing for a stage that the image did not go through. The cloud's
/// computing is part of the round trip; the total holds decoding and waiting too.
using StageTimes = std::array<std::optional<double>, kNumEdgeStages>;
[[nodiscard]] StageTimes stage_times(const EdgeOutcome& outcome);

}  // namespace branchy
