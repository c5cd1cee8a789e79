// Which operations of a plan are computed in 8 bits.
#pragma once

#include <cstdint>

#include "infer/int8_ranges.h"
#include "infer/plan_graph.h"

namespace branchy::detail {

/// Whether `dnn::int8_takes` the operation.
[[nodiscard]] bool int8_takes(const PlanOp& op);
/// Marks the operations of fused segments that `ranges` name. On a CPU without exact sums of bytes
/// (dnn::int8_is_exact) none: these operations are then computed in float32. Throws DataError for a
/// name of a segment of this graph that is no operation which `int8_takes`, and for a block or exit
/// beyond those of the network.
void choose_int8(PlanGraph& graph, const Int8Ranges& ranges, std::int64_t num_blocks,
                 std::int64_t num_exits);

}  // namespace branchy::detail
