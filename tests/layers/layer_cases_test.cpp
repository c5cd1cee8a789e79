// Every case of every registered layer, held against naive double-precision operations, numeric
// derivatives and its own promises. A new layer is tested here without a change to this file.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "core/dnn/channel_blocks.h"
#include "core/safetensors.h"
#include "layers/model_file.h"
#include "layers/registry.h"
#include "tests/support/poison.h"
#include "tests/support/randomize.h"
#include "tests/support/reference_plan.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using test::Array;
using test::ReferencePlan;
using test::Statistics;

constexpr double kForwardTolerance = 1e-5;
constexpr double kBackwardTolerance = 1e-5;
constexpr double kNumericTolerance = 1e-3;
constexpr std::uint64_t kSeed = 20;

struct NamedCase {
  std::string name;
  LayerCase layer_case;
  Mode mode;
};

void PrintTo(const NamedCase& named, std::ostream* stream) {
  *stream << named.name << " src " << named.layer_case.src.to_string() << " seed " << kSeed;
}

std::vector<NamedCase> all_cases() {
  std::vector<NamedCase> cases;
  for (const RegisteredLayer& registered : registered_layers())
    for (const LayerCase& layer_case : registered.cases)
      for (const Mode mode : {Mode::kTrain, Mode::kEval})
        cases.push_back(
            {registered.type + "_" + layer_case.name + (mode == Mode::kTrain ? "_train" : "_eval"),
             layer_case, mode});
  return cases;
}

bool is_deterministic(const NamedCase& named) {
  return named.mode == Mode::kEval || !named.layer_case.random_in_training;
}

std::vector<NamedCase> deterministic_cases() {
  std::vector<NamedCase> cases = all_cases();
  std::erase_if(cases, [](const NamedCase& named) { return !is_deterministic(named); });
  return cases;
}

class LayerCases : public ::testing::TestWithParam<NamedCase> {
 protected:
  LayerCases()
      : layer_(GetParam().layer_case.make(rng_)),
        pass_{.mode = GetParam().mode, .seed = 5},
        src_(scaled_input()) {
    layer_->set_name("under_test");
    layer_->collect_state("", state_);
    test::randomize(state_);
    for (const StateEntry& entry : state_) initial_.push_back(entry.variable->value().clone());
  }

  [[nodiscard]] Statistics statistics() const {
    return pass_.mode == Mode::kTrain ? Statistics::kBatch : Statistics::kRunning;
  }

  static Tensor scaled_input() {
    Tensor src = test::random_tensor(GetParam().layer_case.src, kSeed);
    for (float& value : src.mutable_data()) value *= 4.0F;  // beyond both kinks of ReLU6 at times
    return src;
  }

  /// Undoes what training passes did to the running statistics.
  void restore_buffers() {
    for (std::size_t i = 0; i < state_.size(); ++i)
      if (state_[i].is_buffer) state_[i].variable->mutable_value().copy_from(initial_[i]);
  }

  Tensor forward(const Tensor& src) {
    const NoGradGuard guard;
    restore_buffers();
    return layer_->forward(Variable(src), pass_).value();
  }

  /// Runs forward and backward with `diff_dst`; gives the gradient of the source.
  Tensor differentiate(const Tensor& diff_dst) {
    restore_buffers();
    const Variable src(src_, true);
    test::poison_buffer_pool();
    const Variable dst = layer_->forward(src, pass_);
    test::poison_buffer_pool();
    dst.backward(diff_dst);
    return src.grad();
  }

  Rng rng_{kSeed};
  LayerPtr layer_;
  Pass pass_;
  Tensor src_;
  std::vector<StateEntry> state_;
  std::vector<Tensor> initial_;
};

TEST_P(LayerCases, OutputShapeIsTheRealShape) {
  EXPECT_EQ(forward(src_).shape(), layer_->output_shape(src_.shape()));
  const Shape one = src_.shape().with_batch(1);
  EXPECT_EQ(layer_->output_shape(src_.shape()).with_batch(1), layer_->output_shape(one));
}

/// The cases that the reference can follow: all but layers that are random in training.
class ReferenceCases : public LayerCases {};

TEST_P(ReferenceCases, ForwardEqualsTheReference) {
  ReferencePlan plan(src_.shape());
  const PlanValue result = layer_->lower(plan, plan.input());
  const Array expected = plan.run(test::to_array(src_), result, statistics());
  test::poison_buffer_pool();
  EXPECT_LT(test::relative_error(forward(src_), expected), kForwardTolerance);
}

TEST_P(ReferenceCases, BackwardEqualsTheReference) {
  const Tensor diff_dst = test::random_tensor(layer_->output_shape(src_.shape()), kSeed + 1);
  restore_buffers();
  ReferencePlan plan(src_.shape());
  const PlanValue result = layer_->lower(plan, plan.input());
  static_cast<void>(plan.run(test::to_array(src_), result, statistics()));
  const Array expected = plan.backward(test::to_array(diff_dst), result);

  EXPECT_LT(test::relative_error(differentiate(diff_dst), expected), kBackwardTolerance);
  for (const StateEntry& entry : state_) {
    if (entry.is_buffer) continue;
    ASSERT_TRUE(entry.variable->grad().defined()) << entry.name;
    EXPECT_LT(
        test::relative_error(entry.variable->grad(), plan.gradient_of(entry.variable->value())),
        kBackwardTolerance)
        << entry.name;
  }
}

/// Central differences of objective = dot(output, direction) in some places of `values`. Where the
/// estimates with steps h and h/2 disagree, a kink (ReLU, maximum) lies within the step: such
/// places are skipped, but they must stay few.
struct NumericCheck {
  std::string what;
  std::span<double> values;
  std::function<double()> objective;
  double step, tolerance;
  std::int64_t most_places;

  void expect(const Tensor& gradient) const {
    const auto size = static_cast<std::int64_t>(values.size());
    const std::int64_t places = std::min(size, most_places);
    const auto order = Rng({kSeed, 9}).permutation(size);
    std::int64_t skipped = 0;
    for (std::int64_t i = 0; i < places; ++i) {
      const auto index = static_cast<std::size_t>(order[static_cast<std::size_t>(i)]);
      const double h = step * std::max(1.0, std::abs(values[index]));
      const double coarse = slope(index, h);
      const double fine = slope(index, h / 2);
      const double analytic = gradient.data()[index];
      const double scale = std::max({1.0, std::abs(fine), std::abs(analytic)});
      if (std::abs(coarse - fine) > 0.5 * tolerance * scale) {
        ++skipped;
        continue;
      }
      // The error of central differences falls with the square of the step (Richardson 1911).
      EXPECT_NEAR(analytic, (4.0 * fine - coarse) / 3.0, tolerance * scale)
          << what << "[" << index << "]";
    }
    EXPECT_LE(4 * skipped, places) << what << ": too many kinks to say anything";
  }

 private:
  [[nodiscard]] double slope(std::size_t index, double h) const {
    const double original = values[index];
    values[index] = original + h;
    const double high = objective();
    values[index] = original - h;
    const double low = objective();
    values[index] = original;
    return (high - low) / (2.0 * h);
  }
};

// The step of 1e-2 that single precision needs would cross a kink in most places of a composite.
// The reference gives the same objective in double precision (ForwardEqualsTheReference), where a
// step of 1e-6 crosses none and the tolerance can be tight.
TEST_P(LayerCases, GradientsEqualNumericDerivatives) {
  const Tensor direction = test::random_tensor(layer_->output_shape(src_.shape()), kSeed + 2);
  const Tensor diff_src = differentiate(direction);
  restore_buffers();
  const Array factors = test::to_array(direction);
  Array src = test::to_array(src_);
  const auto inner = [&](const Array& dst) {
    return std::inner_product(dst.values.begin(), dst.values.end(), factors.values.begin(), 0.0);
  };
  if (!is_deterministic(GetParam())) {
    const auto objective = [&] { return inner(test::to_array(forward(test::to_tensor(src)))); };
    NumericCheck{"src", src.values, objective, 1e-2, kNumericTolerance, 64}.expect(diff_src);
    ASSERT_TRUE(state_.empty()) << "say how to differentiate a random layer with parameters";
    return;
  }
  ReferencePlan plan(src_.shape());
  const PlanValue result = layer_->lower(plan, plan.input());
  const auto objective = [&] { return inner(plan.run(src, result, statistics())); };
  NumericCheck{"src", src.values, objective, 1e-6, kBackwardTolerance, 12}.expect(diff_src);
  for (const StateEntry& entry : state_) {
    if (entry.is_buffer) continue;
    NumericCheck{entry.name,         plan.parameter(entry.variable->value()).values,
                 objective,          1e-6,
                 kBackwardTolerance, 8}
        .expect(entry.variable->grad());
  }
}

TEST_P(LayerCases, GradientsAccumulateOverConsumersAndCalls) {
  const Tensor diff_dst = test::random_tensor(layer_->output_shape(src_.shape()), kSeed + 3);
  const Tensor once = differentiate(diff_dst).clone();
  std::vector<Tensor> parameters_once;
  for (const StateEntry& entry : state_)
    parameters_once.push_back(entry.is_buffer ? Tensor() : entry.variable->grad().clone());

  const Variable src(src_, true);
  for (int call = 0; call < 2; ++call) {
    restore_buffers();
    layer_->forward(src, pass_).backward(diff_dst);
  }
  const auto expect_times = [](const Tensor& actual, const Tensor& single, double factor) {
    Array expected = test::to_array(single);
    for (double& value : expected.values) value *= factor;
    EXPECT_LT(test::relative_error(actual, expected), 1e-5);
  };
  expect_times(src.grad(), once, 2.0);
  for (std::size_t i = 0; i < state_.size(); ++i)
    if (!state_[i].is_buffer) expect_times(state_[i].variable->grad(), parameters_once[i], 3.0);
}

TEST_P(LayerCases, CostIsWhatTheLoopsCount) {
  ReferencePlan plan(src_.shape());
  const PlanValue result = layer_->lower(plan, plan.input());
  EXPECT_EQ(plan.shape(result), layer_->output_shape(src_.shape().with_batch(1)));
  const Cost cost = layer_->cost(src_.shape());
  EXPECT_EQ(cost.macs, plan.macs());
  EXPECT_EQ(cost.ptflops, plan.ptflops());
  EXPECT_GE(cost.executed, cost.ptflops);
  std::int64_t parameters = 0;
  for (const StateEntry& entry : state_)
    if (!entry.is_buffer) parameters += entry.variable->value().size();
  EXPECT_EQ(cost.parameters, parameters);
  EXPECT_EQ(layer_->cost(src_.shape().with_batch(1)), cost) << "counts are for one sample";
  std::vector<CostRow> rows;
  layer_->profile("under_test", src_.shape(), rows);
  Cost total;
  for (const CostRow& row : rows) total += row.cost;
  EXPECT_EQ(total, cost);
}

// Convolutions hand on their results in blocks of channels.
TEST_P(LayerCases, RunsOnPlainAndBlockedInputsAlike) {
  if (src_.shape().rank() != 4) return;
  const Tensor diff_dst = test::random_tensor(layer_->output_shape(src_.shape()), kSeed + 4);
  const Tensor plain_dst = forward(src_).clone();
  const Tensor plain_diff = differentiate(diff_dst).clone();
  const auto blocked = [](const Tensor& tensor) { return dnn::in_channel_blocks(tensor.clone()); };
  EXPECT_LT(test::relative_error(forward(blocked(src_)), plain_dst), kForwardTolerance);
  src_ = blocked(src_);
  EXPECT_LT(test::relative_error(differentiate(diff_dst), plain_diff), kBackwardTolerance);
  if (diff_dst.shape().rank() != 4) return;
  src_ = blocked(src_);  // the pass before may have brought it into row-major order
  EXPECT_LT(test::relative_error(differentiate(blocked(diff_dst)), plain_diff), kBackwardTolerance);
}

TEST_P(LayerCases, StateSurvivesAFile) {
  const test::TemporaryDirectory directory;
  std::map<std::string, Tensor> tensors;
  for (const StateEntry& entry : state_) tensors.emplace(entry.name, entry.variable->value());
  ASSERT_EQ(tensors.size(), state_.size()) << "names must differ";
  write_safetensors(directory / "state.safetensors", tensors, {});
  const Tensor expected = forward(src_);
  restore_buffers();

  Rng other_rng(kSeed + 1);
  const LayerPtr other = GetParam().layer_case.make(other_rng);
  std::vector<StateEntry> other_state;
  other->collect_state("", other_state);
  load_state(SafetensorsFile(directory / "state.safetensors"), "", other_state, /*exact=*/true);
  const NoGradGuard guard;
  const Tensor actual = other->forward(Variable(src_), pass_).value();
  if (pass_.mode == Mode::kTrain && GetParam().layer_case.random_in_training) return;
  EXPECT_EQ(test::relative_error(actual, expected), 0.0);
}

INSTANTIATE_TEST_SUITE_P(Registry, ReferenceCases, ::testing::ValuesIn(deterministic_cases()),
                         [](const auto& test_case) { return test_case.param.name; });
INSTANTIATE_TEST_SUITE_P(Registry, LayerCases, ::testing::ValuesIn(all_cases()),
                         [](const auto& test_case) { return test_case.param.name; });

}  // namespace
}  // namespace branchy
