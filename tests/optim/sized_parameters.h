// Two parameters of different size whose gradients follow their values: for tests of optimisers.
#pragma once

#include <cmath>
#include <vector>

#include "core/rng.h"
#include "optim/optimizer.h"

namespace branchy::test {

class SizedParameters {
 public:
  static constexpr std::int64_t kLarge = 70001;  // above the size that is split over threads

  SizedParameters() {
    Rng rng(3);
    for (const std::int64_t size : {std::int64_t{5}, kLarge}) {
      Tensor value(Shape{size});
      for (float& v : value.mutable_data()) v = rng.normal();
      variables_.emplace_back(std::move(value), true);
    }
  }

  /// Weight decay applies to the first alone.
  std::vector<OptimizedParameter> parameters() {
    return {{"small", &variables_[0], true}, {"large", &variables_[1], false}};
  }

  /// Gives every parameter the gradient sin(value) * scale.
  void set_gradients(float scale) {
    for (Variable& variable : variables_) {
      variable.clear_grad();
      Tensor diff(variable.shape());
      const auto values = variable.value().data();
      const auto diffs = diff.mutable_data();
      for (std::size_t i = 0; i < diffs.size(); ++i) diffs[i] = std::sin(values[i]) * scale;
      const Variable copy = record("copy", variable.value(), {variable},
                                   [](const Tensor& d, Wanted) { return std::vector<Tensor>{d}; });
      copy.backward(diff);
    }
  }

  std::vector<std::vector<double>> values() const {
    std::vector<std::vector<double>> all;
    for (const Variable& variable : variables_) {
      const auto data = variable.value().data();
      all.emplace_back(data.begin(), data.end());
    }
    return all;
  }

  std::vector<Variable>& variables() { return variables_; }

 private:
  std::vector<Variable> variables_;
};

}  // namespace branchy::test
