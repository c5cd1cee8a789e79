// Every network, held against what PyTorch computed for it (tests/golden/make_network_goldens.py,
// which states the formulas that both sides evaluate).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "core/threads.h"
#include "layers/binary_cross_entropy.h"
#include "layers/models/registry.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "optim/sgd.h"
#include "tests/support/reference_ops.h"

namespace branchy {
namespace {

constexpr std::int64_t kSteps = 10;
constexpr std::size_t kSamples = 32;
constexpr double kLogitsTolerance = 1e-4, kTrainingTolerance = 1e-3;

/// What the generator calls CASE, and the network that must compute the same.
struct GoldenCase {
  std::string name;
  NetworkConfig config;
};
void PrintTo(const GoldenCase& golden, std::ostream* stream) { *stream << golden.name; }

std::vector<GoldenCase> golden_cases() {
  using Options = std::map<std::string, std::string>;
  const auto of = [](const std::string& name, std::int64_t early_exits, Options options,
                     std::int64_t classes = 10) {
    return GoldenCase{name, {name.substr(0, name.find('-')), classes, early_exits, options}};
  };
  const auto mobilenet = [&](const std::string& name, const std::string& side, Options options) {
    const std::int64_t early_exits = options.contains("exit-after") ? kDefaultExits : 3;
    options.insert({{"dropout", "0"}, {"input", side}});
    return of("mobilenet_v2-" + name, early_exits, options);
  };
  return {
      of("alexnet", 2, {{"dropout", "0"}}),
      of("alexnet-light", 2, {{"dropout", "0"}, {"exit", "light"}}),
      of("vgg16_bn", 2, {{"dropout", "0"}}),
      of("vgg16_bn-light", 2, {{"dropout", "0"}, {"exit", "light"}}),
      of("resnet44", 2, {}),
      of("resnet44-three", 3, {}),
      of("resnet44-light", 2, {{"exit", "light"}}),
      mobilenet("cifar", "32", {}),
      mobilenet("bnpool", "96", {{"width", "0.35"}, {"exit-after", "2,5,10,13,16"}}),
      mobilenet("light", "64", {{"width", "0.5"}, {"exit-after", "5,13"}, {"exit", "light"}}),
      mobilenet("flatten", "75", {{"width", "0.5"}, {"exit-after", "3,12"}, {"exit", "flatten"}}),
      mobilenet("wide", "48", {{"width", "1.4"}, {"exit-after", "4"}}),
      of("cnn9-mem", kDefaultExits, {}),
      of("cnn9-sem3", kDefaultExits, {{"exit-after", "3"}}),
      of("cnn9-residual", kDefaultExits,
         {{"pool", "max"}, {"pool-in", "previous"}, {"skips", "residual"}, {"stem", "16"}}),
      of("cnn9-widths", kDefaultExits, {{"widths", "16,24,40"}}),
      of("exit_predictor", 0, {}, 2),
      of("exit_predictor-three", 0, {}, 3),
      of("exit_predictor-plain", 0, {{"kind", "plain"}}, 2),
      of("exit_predictor-fc", 0, {{"kind", "fc"}}, 2),
      of("exit_predictor-lenet", 0, {{"kind", "lenet"}}, 2),
      of("feature_codec", 0, {}),
      of("feature_codec-kernel3", 0, {{"kernel", "3"}}),
  };
}

/// The generator's formula: SplitMix64 started at the FNV-1a hash of a key.
class Formula {
 public:
  explicit Formula(const std::string& key) {
    for (const char letter : key)
      state_ = (state_ ^ static_cast<unsigned char>(letter)) * 0x100000001B3ULL;
  }
  [[nodiscard]] std::uint64_t bits(std::size_t i) const {
    std::uint64_t z = state_ + (i + 1) * 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  [[nodiscard]] double uniform(std::size_t i) const {
    return static_cast<double>(bits(i) >> 40) * 0x1p-23 - 1.0;
  }

 private:
  std::uint64_t state_ = 0xCBF29CE484222325ULL;
};

struct Range {
  double center, radius;
  double center8 = center;  ///< of every eighth number, from the first
};

/// A row of a golden: norm, dot product with a direction, largest magnitude, samples.
using Summary = std::array<double, 3 + kSamples>;

Summary summarize(const std::string& key, const Tensor& tensor) {
  const auto values = tensor.data();
  const Formula direction(key + "/direction"), samples(key + "/samples");
  Summary result{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = values[i];
    result[0] += value * value;
    result[1] += value * direction.uniform(i);
    result[2] = std::max(result[2], std::abs(value));
  }
  result[0] = std::sqrt(result[0]);
  for (std::size_t i = 0; i < kSamples; ++i)
    result[3 + i] = values[samples.bits(i) % values.size()];
  return result;
}

/// The largest difference relative to the expected tensor: norm to norm, dot product to what a
/// difference of the norm would give on average, elements to the largest element. A gradient that
/// vanishes, as batch norm removes what a parameter adds, goes by `largest_norm` of the network.
double relative_error(const Summary& actual, std::span<const float> expected, double largest_norm) {
  const bool vanishes = expected[0] < 1e-9 * largest_norm;
  const double norm = vanishes ? largest_norm : expected[0];
  const double peak = vanishes ? largest_norm : expected[2];
  double worst = 0.0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double scale = i == 0 ? norm : i == 1 ? norm / std::sqrt(3.0) : peak;
    const double error = std::abs(actual[i] - static_cast<double>(expected[i])) / scale;
    if (!(error <= worst)) worst = error;  // not a number is kept
  }
  return worst;
}

class NetworkGolden : public ::testing::TestWithParam<GoldenCase> {
 protected:
  NetworkGolden() {
    set_num_threads(1);  // sums in one order
    Rng rng(0);
    network_ = make_network(GetParam().config, rng);
    images_ = Tensor(network_->input_shape().with_batch(std::stoll(file_.metadata().at("batch"))));
    state_ = network_->state();
    std::sort(state_.begin(), state_.end(),
              [](const StateEntry& a, const StateEntry& b) { return a.name < b.name; });
    fill_state();
    fill_images();
  }

  /// Names a stream of numbers of this case.
  [[nodiscard]] std::string key(const std::string& rest) const {
    return GetParam().name + "/" + file_.metadata().at("seed") + "/" + rest;
  }

  void fill_state() {
    for (const StateEntry& entry : state_) {
      Tensor& tensor = entry.variable->mutable_value();
      const Range range = range_of(entry);
      const Formula formula(key(entry.name));
      const auto values = tensor.mutable_data();
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>((i % 8 == 0 ? range.center8 : range.center) +
                                       formula.uniform(i) * range.radius);
    }
  }

  /// Where the generator's `state_values` lie.
  [[nodiscard]] Range range_of(const StateEntry& entry) const {
    const Tensor& tensor = entry.variable->value();
    const std::int64_t rank = tensor.shape().rank();
    if (rank > 1) {
      const std::int64_t fan_in = tensor.size() / tensor.dim(0);
      return {0.0, std::sqrt((rank == 4 ? 6.0 : 1.0) / static_cast<double>(fan_in))};
    }
    if (entry.name.ends_with("running_var")) return {1.0, 0.5};
    if (entry.name.ends_with("running_mean")) return {0.0, 2.0};
    const std::string layer = entry.name.substr(0, entry.name.rfind('.'));
    const bool of_norm = std::any_of(state_.begin(), state_.end(), [&](const StateEntry& other) {
      return other.name == layer + ".running_mean";
    });
    if (!of_norm) return {0.0, 0.1};
    return entry.name.ends_with("weight") ? Range{0.65, 0.15} : Range{2.0, 0.5, 0.0};
  }

  void fill_images() {
    const Formula noise(key("noise")), fields(key("fields"));
    const std::int64_t height = images_.dim(2), width = images_.dim(3);
    const auto pixels = images_.mutable_data();
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      const auto index = static_cast<std::int64_t>(i);
      const std::int64_t x = index % width, y = index / width % height;
      const std::int64_t field = index / (width * height) * 16 + y * 4 / height * 4 + x * 4 / width;
      pixels[i] = static_cast<float>(0.5 * noise.uniform(i) +
                                     fields.uniform(static_cast<std::size_t>(field)));
    }
  }

  /// The state of one kind in order of the names, which must be those of the golden.
  std::vector<StateEntry> state_of(bool buffers, const std::string& list) {
    std::vector<StateEntry> entries;
    std::string names;
    for (const StateEntry& entry : state_) {
      if (entry.is_buffer != buffers) continue;
      names += (names.empty() ? "" : " ") + entry.name;
      entries.push_back(entry);
    }
    EXPECT_EQ(names, file_.metadata().at(list));
    return entries;
  }

  /// Differentiates the loss; gives its value.
  double differentiate(const std::vector<Variable>& outputs) {
    if (GetParam().config.name == "feature_codec") return differentiate_reconstruction(outputs[0]);
    const Variable loss = GetParam().config.name == "exit_predictor" ? predictor_loss(outputs[0])
                                                                     : weighted_loss(outputs);
    loss.backward();
    return loss.value().item();
  }

  Variable weighted_loss(const std::vector<Variable>& outputs) {
    const Formula formula(key("labels"));
    const auto classes = static_cast<std::uint64_t>(GetParam().config.classes);
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < images_.dim(0); ++i)
      labels.push_back(
          static_cast<std::int64_t>(formula.bits(static_cast<std::size_t>(i)) % classes));
    std::vector<Variable> losses;
    std::vector<float> weights;
    const auto count = static_cast<double>(outputs.size());
    for (const Variable& logits : outputs) {
      losses.push_back(softmax_cross_entropy(logits, labels));
      weights.push_back(
          static_cast<float>(2.0 * static_cast<double>(losses.size()) / (count * (count + 1.0))));
    }
    return weighted_sum(losses, weights);
  }

  Variable predictor_loss(const Variable& logits) {
    const Formula formula(key("labels"));
    Tensor targets(logits.shape());
    const auto values = targets.mutable_data();
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(formula.bits(i) % 2);
    return binary_cross_entropy(logits, targets);
  }

  double differentiate_reconstruction(const Variable& decoded) {
    Tensor diff = decoded.value().clone();
    const auto values = diff.mutable_data();
    const auto wanted = images_.data();
    const auto count = static_cast<double>(values.size());
    double sum = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double difference = static_cast<double>(values[i]) - static_cast<double>(wanted[i]);
      sum += difference * difference;
      values[i] = static_cast<float>(2.0 * difference / count);
    }
    decoded.backward(diff);
    return sum / count;
  }

  /// Compares each entry with its row of the golden.
  template <typename Value>
  void expect_rows(const std::string& golden, const std::vector<StateEntry>& entries,
                   const Value& value_of) {
    const Tensor rows = file_.tensor(golden);
    const std::size_t columns = std::tuple_size_v<Summary>;
    ASSERT_EQ(rows.shape(), (Shape{std::ssize(entries), static_cast<std::int64_t>(columns)}));
    const auto row = [&](std::size_t i) { return rows.data().subspan(i * columns, columns); };
    double largest_norm = 0.0;
    for (std::size_t i = 0; i < entries.size(); ++i)
      largest_norm = std::max<double>(largest_norm, row(i)[0]);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const std::string& name = entries[i].name;
      const Tensor value = value_of(*entries[i].variable);
      ASSERT_TRUE(value.defined()) << golden << " of " << name;
      const double error = relative_error(summarize(key(name), value), row(i), largest_norm);
      EXPECT_LT(error, kTrainingTolerance) << golden << " of " << name;
      note(golden, error);
    }
  }

  /// Keeps the largest error of a check for the test's report (--gtest_output=json).
  void note(const std::string& check, double error) {
    double& worst = worst_[check];
    worst = std::max(worst, error);
    RecordProperty(check, std::to_string(worst * 1e6) + "e-6");
  }

  SafetensorsFile file_{BRANCHY_NETWORK_GOLDENS "/" + GetParam().name + ".safetensors"};
  std::unique_ptr<MultiExitNetwork> network_;
  std::vector<StateEntry> state_;
  Tensor images_;
  std::map<std::string, double> worst_;
};

TEST_P(NetworkGolden, EvaluationLogitsAgree) {
  const NoGradGuard guard;
  const auto outputs = network_->forward(Variable(images_), {.mode = Mode::kEval});
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::string name = "logits." + std::to_string(i + 1);
    const Tensor expected = file_.tensor(name);
    const double error = GetParam().config.name == "feature_codec"
                             ? relative_error(summarize(key(name), outputs[i].value()),
                                              expected.data(), expected.data()[0])
                             : test::relative_error(outputs[i].value(), expected);
    EXPECT_LT(error, kLogitsTolerance) << name;
    note("logits", error);
  }
  EXPECT_FALSE(file_.contains("logits." + std::to_string(outputs.size() + 1)));
}

TEST_P(NetworkGolden, GradientsOfTheLossAgree) {
  differentiate(network_->forward(Variable(images_), {.mode = Mode::kTrain}));
  expect_rows("gradients", state_of(false, "parameters"),
              [](const Variable& variable) { return variable.grad(); });
}

TEST_P(NetworkGolden, LossesAndStatisticsOfTenStepsAgree) {
  std::vector<OptimizedParameter> parameters;
  for (const StateEntry& entry : state_)
    if (!entry.is_buffer) parameters.push_back({entry.name, entry.variable});
  Sgd sgd(parameters, {.momentum = 0.9F, .weight_decay = 5e-4F});
  const float rate = std::stof(file_.metadata().at("rate"));
  Tensor losses(Shape{kSteps});
  for (float& loss : losses.mutable_data()) {
    sgd.clear_gradients();
    loss = static_cast<float>(
        differentiate(network_->forward(Variable(images_), {.mode = Mode::kTrain})));
    sgd.step(rate);
  }
  const double error = test::relative_error(losses, file_.tensor("losses"));
  EXPECT_LT(error, kTrainingTolerance) << "losses";
  note("losses", error);
  const auto buffers = state_of(true, "buffers");
  if (!buffers.empty())
    expect_rows("statistics", buffers, [](const Variable& variable) { return variable.value(); });
}

INSTANTIATE_TEST_SUITE_P(AllNetworks, NetworkGolden, ::testing::ValuesIn(golden_cases()),
                         [](const auto& test) {
                           std::string name = test.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace branchy
