#include "infer/edge_stages.h"

namespace branchy {

std::string_view to_string(EdgeStage stage) {
  switch (stage) {
    case EdgeStage::kDecode:
      return "decode";
    case EdgeStage::kQueue:
      return "queue";
    case EdgeStage::kEdge:
      return "edge";
    case EdgeStage::kEncode:
      return "encode";
    case EdgeStage::kRoundTrip:
      return "round_trip";
    case EdgeStage::kCloud:
      return "cloud";
    case EdgeStage::kTotal:
      break;
  }
  return "total";
}

StageTimes stage_times(const EdgeOutcome& outcome) {
  const auto if_any = [](double ms) { return ms > 0 ? std::optional(ms) : std::nullopt; };
  return {if_any(outcome.decode_ms),
          outcome.queue_ms,
          if_any(outcome.edge_ms),
          if_any(outcome.encode_ms),
          if_any(outcome.round_trip_ms),
          if_any(outcome.cloud_ms),
          outcome.decode_ms + outcome.total_ms};
}

}  // namespace branchy
