// Program: a plan compiled for one batch size: primitives, order and memory offsets.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/dnn/inference_primitive.h"
#include "infer/memory_plan.h"
#include "infer/plan_graph.h"

namespace branchy::detail {

/// One primitive and the buffers it works on. A step that accumulates finds the addend in `dst`.
struct ProgramStep {
  dnn::InferencePrimitive primitive;
  std::vector<std::size_t> srcs;  ///< indices into Program::buffers
  std::size_t dst = 0;
  bool is_reorder = false;
  std::int64_t op = -1;  ///< of the segment's operations; -1 for one that only moves values
};

/// A value at rest between segments, or what an exit gave.
struct ProgramValue {
  dnn::ValueLayout layout;
  std::size_t buffer = 0;
};

/// Immutable once compiled.
struct Program {
  std::int64_t batch = 0;
  std::vector<ProgramStep> steps;
  std::vector<PlannedBuffer> buffers;
  std::int64_t scratchpad_offset = 0;  ///< the scratchpad lies behind the values
  std::int64_t arena_bytes = 0;        ///< values and scratchpad
  /// Steps [first, end) of each segment of the graph.
  std::vector<std::pair<std::size_t, std::size_t>> segment_steps;
  std::vector<ProgramValue> segment_dsts;
  std::vector<ProgramValue> boundaries;  ///< as PlanGraph::boundaries
  /// Brings a row-major source into boundary i; empty when it is to be copied as it is.
  std::vector<std::optional<dnn::InferencePrimitive>> entries;
  /// Brings boundary i into row-major order; empty when it is so already.
  std::vector<std::optional<dnn::InferencePrimitive>> leaves;

  [[nodiscard]] std::int64_t num_reorder_steps() const;
};

/// Makes the primitives for `batch` samples. `src_is_image`: the source stays row-major as it comes
/// instead of taking the layout of a boundary. Weights are packed into the graph's operations, so
/// two threads must not compile the same graph at once.
[[nodiscard]] Program compile(const PlanGraph& graph, std::int64_t batch, bool src_is_image);

}  // namespace branchy::detail
