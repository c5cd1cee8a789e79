// PlanGraph: the operations of a lowered network part, grouped by trunk block and exit.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/dnn/inference_int8.h"
#include "core/dnn/inference_primitive.h"
#include "core/plan_builder.h"

namespace branchy::detail {

enum class PlanOpKind {
  kConvolution,
  kLinear,
  kBatchNorm,
  kActivation,
  kPool,
  kFlatten,
  kAdd,
  kConcat,
  kScaleChannels,
  kExitHead  ///< what fusion makes of the pooling and the linear layer that end an exit
};

/// One operation. Only the parameter of its kind is meaningful; an exit's head has `pool` and
/// `linear`.
struct PlanOp {
  PlanOpKind kind = PlanOpKind::kFlatten;
  std::vector<PlanValue> srcs;
  PlanValue dst = -1;

  ConvolutionOp convolution;
  LinearOp linear;
  BatchNormOp batch_norm;
  PoolOp pool;
  ActivationKind activation_kind = ActivationKind::kRelu;  ///< of kActivation

  /// Fused into this operation; with `post.sum`, srcs[1] is the other addend.
  dnn::PostOps post;
  /// Of an operation that is computed in 8 bits: what srcs[0] lies between.
  std::optional<dnn::ValueRange> int8;
  /// The weights, folded, and their packed forms; set once fusion is over.
  std::shared_ptr<dnn::PackedTensor> weights;
};

/// The operations of one trunk block or one exit. Nothing is fused across its border, and its
/// result lies in a layout that depends on the shape alone: this is what makes a network that is
/// cut between two blocks compute the same bits.
struct PlanSegment {
  bool is_exit = false;
  std::int64_t number = 0;  ///< trunk block (from 0) or exit (from 1)
  PlanValue src = -1, dst = -1;
  std::vector<PlanOp> ops;
};

struct PlanGraph {
  std::vector<Shape> shapes;  ///< of every value, for batch size 1
  /// In the order of execution: each block is followed by the exits that read its result.
  std::vector<PlanSegment> segments;
  /// The part's source, then the result of each of its blocks.
  std::vector<PlanValue> boundaries;
};

/// Writes down what layers say when they are lowered.
class GraphRecorder final : public PlanBuilder {
 public:
  /// `src` has batch size 1.
  explicit GraphRecorder(const Shape& src);

  [[nodiscard]] PlanValue src() const { return 0; }
  void begin_segment(bool is_exit, std::int64_t number, PlanValue src);
  void end_segment(PlanValue dst);
  [[nodiscard]] PlanGraph take(std::vector<PlanValue> boundaries);

  [[nodiscard]] const Shape& shape(PlanValue value) const override;
  PlanValue convolution(PlanValue src, const ConvolutionOp& op) override;
  PlanValue batch_norm(PlanValue src, const BatchNormOp& op) override;
  PlanValue activation(PlanValue src, ActivationKind kind) override;
  PlanValue pool(PlanValue src, const PoolOp& op) override;
  /// As a 1x1 convolution whose weights pick the channels: exact, and the sum behind it fuses.
  PlanValue subsample(PlanValue src, const SubsampleOp& op) override;
  PlanValue linear(PlanValue src, const LinearOp& op) override;
  PlanValue flatten(PlanValue src) override;
  PlanValue add(PlanValue a, PlanValue b) override;
  PlanValue concat(std::span<const PlanValue> parts) override;
  PlanValue scale_channels(PlanValue src, PlanValue scale) override;

 private:
  PlanValue record(PlanOp op, std::vector<PlanValue> srcs, const Shape& dst);

  PlanGraph graph_;
};

}  // namespace branchy::detail
