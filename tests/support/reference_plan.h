// ReferencePlan: a PlanBuilder that evaluates and differentiates what a layer lowers to, with the
// naive double-precision operations. It is the independent reference of every layer's forward,
// backward, cost and lowering at once.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "core/plan_builder.h"
#include "tests/support/reference_ops.h"

namespace branchy::test {

enum class Statistics { kRunning, kBatch };

class ReferencePlan final : public PlanBuilder {
 public:
  /// `src` is the shape of the input, with the batch size of `run`.
  explicit ReferencePlan(const Shape& src);

  [[nodiscard]] PlanValue input() const { return 0; }
  /// Evaluates all operations; batch norm normalises as `statistics` says.
  [[nodiscard]] Array run(const Array& src, PlanValue result, Statistics statistics);
  /// Differentiates the last run; gives the gradient of the source.
  [[nodiscard]] Array backward(const Array& diff_dst, PlanValue result);
  /// The plan's own copy of a tensor that the layer handed over (the very storage); `run` reads it,
  /// so it may be varied in double precision.
  [[nodiscard]] Array& parameter(const Tensor& tensor);
  /// Its gradient, after backward().
  [[nodiscard]] const Array& gradient_of(const Tensor& tensor);

  /// Multiplications of convolutions and linear layers for one sample, counted by their loops.
  [[nodiscard]] std::int64_t macs() const { return macs_; }
  /// Operations for one sample in the counting convention of Dong et al., derived from the list of
  /// operations alone: a ReLU behind a sum is free, pools count their input.
  [[nodiscard]] std::int64_t ptflops() const { return ptflops_; }

  [[nodiscard]] const Shape& shape(PlanValue value) const override;
  PlanValue convolution(PlanValue src, const ConvolutionOp& op) override;
  PlanValue batch_norm(PlanValue src, const BatchNormOp& op) override;
  PlanValue activation(PlanValue src, ActivationKind kind) override;
  PlanValue pool(PlanValue src, const PoolOp& op) override;
  PlanValue subsample(PlanValue src, const SubsampleOp& op) override;
  PlanValue linear(PlanValue src, const LinearOp& op) override;
  PlanValue flatten(PlanValue src) override;
  PlanValue add(PlanValue a, PlanValue b) override;
  PlanValue concat(std::span<const PlanValue> parts) override;
  PlanValue scale_channels(PlanValue src, PlanValue scale) override;

 private:
  struct Operation {
    std::function<Array()> forward;
    std::function<void(const Array& diff_dst)> backward;
    bool is_sum = false;
  };
  struct Parameter {
    Tensor tensor;
    Array value, diff;
  };

  PlanValue append(const Shape& shape_of_one, Operation operation);
  [[nodiscard]] const Array& value(PlanValue v) const;
  void accumulate(PlanValue v, const Array& diff);
  /// Index of the tensor in parameters_, taken in when new; -1 when undefined.
  std::int64_t take(const Tensor& tensor);
  [[nodiscard]] Parameter& find(const Tensor& tensor);
  [[nodiscard]] const Array& parameter_value(std::int64_t index) const;
  void accumulate_parameter(std::int64_t index, const Array& diff);
  [[nodiscard]] std::int64_t batch() const { return batch_; }

  std::int64_t batch_;
  std::vector<Shape> shapes_;  // batch size 1
  std::vector<Operation> operations_;
  std::vector<Array> values_, diffs_;
  std::vector<Parameter> parameters_;
  Statistics statistics_ = Statistics::kRunning;
  std::int64_t macs_ = 0, ptflops_ = 0;
};

}  // namespace branchy::test
