#include "layers/activation.h"

#include "core/dnn/eltwise.h"

namespace branchy {

std::string_view Activation::type() const {
  switch (kind_) {
    case ActivationKind::kRelu:
      return "relu";
    case ActivationKind::kRelu6:
      return "relu6";
    case ActivationKind::kSigmoid:
      break;
  }
  return "sigmoid";
}

Variable Activation::do_forward(const Variable& src, const Pass& /*pass*/) {
  Tensor dst = dnn::activation_forward(src.value(), kind_);
  // Differentiated from the output: ReLU [y > 0], ReLU6 [0 < y < 6], sigmoid y (1 - y).
  return record(kType, dst, {src}, [dst, kind = kind_](const Tensor& diff_dst, Wanted /*wanted*/) {
    return std::vector<Tensor>{dnn::activation_backward(diff_dst, dst, kind)};
  });
}

Cost Activation::cost(const Shape& src) const {
  const std::int64_t elements = src.with_batch(1).size();
  Cost cost;
  cost.ptflops = kind_ == ActivationKind::kSigmoid ? 0 : elements;
  cost.executed = elements;
  cost.bytes_moved = 8 * elements;
  return cost;
}

PlanValue Activation::lower(PlanBuilder& plan, PlanValue src) const {
  return plan.activation(src, kind_);
}

std::vector<LayerCase> Activation::cases() {
  const auto make = [](ActivationKind kind) {
    return [kind](Rng&) { return std::make_unique<Activation>(kind); };
  };
  return {{"relu", {2, 5, 4, 3}, make(ActivationKind::kRelu)},
          {"relu6", {2, 16, 3, 3}, make(ActivationKind::kRelu6)},
          {"sigmoid", {3, 11}, make(ActivationKind::kSigmoid)}};
}

}  // namespace branchy
