#include "infer/plan_int8.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace branchy::detail {

namespace {

[[noreturn]] void refuse(const PlanOperation& operation, const char* expected) {
  throw DataError(fmt::format(
      "[{}] {} is no operation in 8 bits, expected {}; the ranges are of another network "
      "or version: run branchy quantize again",
      kInt8RangesRecord, operation.name(), expected));
}

}  // namespace

bool int8_takes(const PlanOp& op) {
  if (op.kind == PlanOpKind::kConvolution) return dnn::int8_takes(op.convolution);
  return op.kind == PlanOpKind::kLinear && dnn::int8_takes(op.linear);
}

void choose_int8(PlanGraph& graph, const Int8Ranges& ranges, std::int64_t num_blocks,
                 std::int64_t num_exits) {
  const bool exact = dnn::int8_is_exact();
  for (const auto& entry : ranges) {
    const PlanOperation& operation = entry.first;
    const bool exists = operation.is_exit ? operation.number >= 1 && operation.number <= num_exits
                                          : operation.number < num_blocks;
    if (!exists) refuse(operation, "a block or exit of the network");
    const auto segment = std::find_if(
        graph.segments.begin(), graph.segments.end(), [&](const PlanSegment& candidate) {
          return candidate.is_exit == operation.is_exit && candidate.number == operation.number;
        });
    if (segment == graph.segments.end()) continue;  // of another part of the network
    const auto index = static_cast<std::size_t>(operation.index);
    if (index >= segment->ops.size() || !int8_takes(segment->ops[index]))
      refuse(operation, "a convolution over 16 or more channels or a large linear layer");
    if (exact) segment->ops[index].int8 = entry.second;
  }
}

}  // namespace branchy::detail
