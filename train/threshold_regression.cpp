#include "train/threshold_regression.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "core/error.h"
#include "core/rng.h"
#include "layers/activation.h"
#include "layers/linear.h"
#include "optim/adam.h"
#include "optim/schedule.h"

namespace branchy {

namespace {

constexpr double kRounding = 1e4;
constexpr double kBorder = 1e-9;  // decades are closed, logarithms are rounded
/// Of the weights' random numbers; the second part of their key is the decade.
constexpr std::uint64_t kOffset = 1000;  // decades below 1 bit/s would be negative

std::vector<float> flat(const ThresholdSetting& setting) {
  std::vector<float> values = setting.lambda;
  values.insert(values.end(), setting.gamma.begin(), setting.gamma.end());
  return values;
}

float rounded(float value) {
  return static_cast<float>(std::round(double{value} * kRounding) / kRounding);
}

float scaled(double log_bandwidth, double low, double high) {
  return static_cast<float>(2.0 * (log_bandwidth - low) / (high - low) - 1.0);
}

std::unique_ptr<Sequential> make_network(std::int64_t hidden, std::int64_t outputs, Rng rng) {
  auto network = std::make_unique<Sequential>();
  network->add("fc1", std::make_unique<Linear>(LinearParams{.in = 1, .out = hidden}, rng));
  network->add("relu", std::make_unique<Activation>(ActivationKind::kRelu));
  network->add("fc2", std::make_unique<Linear>(LinearParams{.in = hidden, .out = outputs}, rng));
  network->add("sigmoid", std::make_unique<Activation>(ActivationKind::kSigmoid));
  return network;
}

/// Positions of the bandwidths in each decade; at a border in both.
std::map<int, std::vector<std::size_t>> by_decade(std::span<const double> bandwidths) {
  std::map<int, std::vector<std::size_t>> decades;
  for (std::size_t i = 0; i < bandwidths.size(); ++i) {
    require_bandwidth("regression", bandwidths[i]);
    const double log = std::log10(bandwidths[i]);
    const int decade = static_cast<int>(std::floor(log + kBorder));
    decades[decade].push_back(i);
    if (std::abs(log - decade) < kBorder) decades[decade - 1].push_back(i);
  }
  std::erase_if(decades, [](const auto& decade) { return decade.second.size() < 2; });
  return decades;
}

struct Samples {
  Tensor inputs, targets;  ///< [N, 1], [N, thresholds]
};

/// Full batches. Gives the sum of squared errors over labels and thresholds at the end.
double fit(Sequential& network, const Samples& samples, const RegressionParams& params) {
  std::vector<StateEntry> state;
  network.collect_state("", state);
  std::vector<OptimizedParameter> parameters;
  parameters.reserve(state.size());
  for (const StateEntry& entry : state) parameters.push_back({entry.name, entry.variable});
  Adam adam(std::move(parameters), {});
  ScheduleParams schedule;
  schedule.rate = params.rate;
  schedule.decay_steps = params.steps;
  const Variable inputs(samples.inputs);
  const auto targets = samples.targets.data();
  const auto count = static_cast<float>(samples.targets.size());
  for (std::int64_t step = 0;; ++step) {
    const Variable outputs = network.forward(inputs, {.mode = Mode::kTrain});
    const auto values = outputs.value().data();
    Tensor diff(outputs.shape());
    const auto diffs = diff.mutable_data();
    double error = 0;
    for (std::size_t i = 0; i < diffs.size(); ++i) {
      const float difference = values[i] - targets[i];
      diffs[i] = 2.0F * difference / count;  // of the mean squared error
      error += double{difference} * difference;
    }
    if (step == params.steps) return error;
    outputs.backward(diff);
    adam.step(static_cast<float>(learning_rate(schedule, step)));
    adam.clear_gradients();
  }
}

}  // namespace

void RegressionParams::validate() const {
  if (hidden < 1 || hidden > 4096)
    throw ConfigError(fmt::format("[regression] hidden width {}, expected 1 to 4096", hidden));
  if (steps < 1) throw ConfigError(fmt::format("[regression] {} steps, expected 1 or more", steps));
  if (!(rate > 0.0F && std::isfinite(rate)))
    throw ConfigError(fmt::format("[regression] rate {}, expected a positive number", rate));
}

ThresholdRegression::ThresholdRegression(std::span<const BandwidthLabel> labels,
                                         const RegressionParams& params) {
  params.validate();
  std::vector<double> bandwidths;
  bandwidths.reserve(labels.size());
  for (const BandwidthLabel& label : labels) bandwidths.push_back(label.bits_per_second);
  if (!labels.empty()) kind_ = labels.front().setting;
  const auto outputs = static_cast<std::int64_t>(flat(kind_).size());
  double error = 0;
  std::int64_t values = 0;
  for (const auto& [decade, members] : by_decade(bandwidths)) {
    const auto rows = static_cast<std::int64_t>(members.size());
    Decade one{.low = double(decade), .high = double(decade + 1), .network = nullptr};
    std::vector<float> inputs, targets;
    for (const std::size_t member : members) {
      inputs.push_back(scaled(std::log10(bandwidths[member]), one.low, one.high));
      const std::vector<float> thresholds = flat(labels[member].setting);
      targets.insert(targets.end(), thresholds.begin(), thresholds.end());
    }
    one.network = make_network(params.hidden, outputs,
                               Rng({params.seed, kOffset + static_cast<std::uint64_t>(decade)}));
    error += fit(*one.network,
                 {.inputs = Tensor::from(Shape{rows, 1}, inputs),
                  .targets = Tensor::from(Shape{rows, outputs}, targets)},
                 params);
    values += rows * outputs;
    decades_.push_back(std::move(one));
  }
  if (decades_.empty())
    throw ConfigError(
        fmt::format("[regression] {} bandwidths, expected two or more within a factor of 10, such "
                    "as 0.1,0.3,0.5,0.7,1 Mbit/s",
                    labels.size()));
  rmse_ = std::sqrt(error / static_cast<double>(values));
}

bool ThresholdRegression::is_trainable(std::span<const double> bandwidths) {
  const auto decades = by_decade(bandwidths);
  if (decades.empty()) return false;
  const auto [low, high] = std::minmax_element(bandwidths.begin(), bandwidths.end());
  const int end = static_cast<int>(std::ceil(std::log10(*high) - kBorder));
  for (int decade = static_cast<int>(std::floor(std::log10(*low) + kBorder)); decade < end;
       ++decade)
    if (!decades.contains(decade)) return false;
  return true;
}

const ThresholdRegression::Decade* ThresholdRegression::decade_of(double bits_per_second) const {
  const double log = std::log10(bits_per_second);
  for (const Decade& decade : decades_)
    if (log >= decade.low - kBorder && log <= decade.high + kBorder) return &decade;
  return nullptr;
}

ThresholdSetting ThresholdRegression::at(double bits_per_second) const {
  require_bandwidth("regression", bits_per_second);
  const Decade* decade = decade_of(bits_per_second);
  if (decade == nullptr)
    throw ConfigError(
        fmt::format("[regression] no network for {} bit/s; add bandwidths of its "
                    "decade",
                    bits_per_second));
  const float input = scaled(std::log10(bits_per_second), decade->low, decade->high);
  const Variable output = decade->network->forward(Variable(Tensor::full(Shape{1, 1}, input)), {});
  const auto values = output.value().data();
  ThresholdSetting setting = kind_;
  std::size_t next = 0;
  for (float& lambda : setting.lambda) lambda = rounded(values[next++]);
  for (float& gamma : setting.gamma) gamma = rounded(values[next++]);
  return setting;
}

}  // namespace branchy
