#include "train/setting_grid.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "core/error.h"

namespace branchy {

namespace {

constexpr std::size_t kWatchEvery = 1024;

/// The settings of `axes` by number: a number in base lambdas x gammas, one digit an exit.
class SettingCounter {
 public:
  SettingCounter(const GridAxes& axes, std::size_t early) : axes_(axes), early_(early) {
    if (axes.lambdas.empty()) throw ConfigError("[grid] no lambda, expected one at least");
    const double per_exit = static_cast<double>(base());
    const double all = axes.shared ? per_exit : std::pow(per_exit, static_cast<double>(early));
    if (all > static_cast<double>(kMostSettings))
      throw ConfigError(fmt::format(
          "[grid] {:g} settings, at most {}; give fewer thresholds or the same for all exits", all,
          kMostSettings));
    size_ = static_cast<std::size_t>(std::llround(all));
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] ThresholdSetting setting(std::size_t number) const {
    ThresholdSetting setting{.oracle = axes_.oracle};
    const std::size_t gammas = std::max<std::size_t>(1, axes_.gammas.size());
    for (std::size_t exit = 0; exit < early_; ++exit) {
      const std::size_t digit = number % base();
      setting.lambda.push_back(axes_.lambdas[digit / gammas]);
      if (!axes_.gammas.empty()) setting.gamma.push_back(axes_.gammas[digit % gammas]);
      if (!axes_.shared) number /= base();
    }
    return setting;
  }

 private:
  [[nodiscard]] std::size_t base() const {
    return axes_.lambdas.size() * std::max<std::size_t>(1, axes_.gammas.size());
  }

  const GridAxes& axes_;
  std::size_t early_, size_ = 0;
};

EvaluatedSetting evaluate_on(const ConfidenceTable& table, const PartTimes& parts,
                             ThresholdSetting setting) {
  const RouteCounts counts = count_routes(table, setting);
  return {.setting = std::move(setting),
          .accuracy = counts.accuracy(),
          .device_ms = counts.device_ms(parts),
          .sent_share = counts.sent_share()};
}

/// A setting of the grid at one bandwidth.
struct Candidate {
  const EvaluatedSetting* setting = nullptr;
  double ms = 0;
  bool feasible = false;
};

/// Smaller is better.
auto by_accuracy(const Candidate& c) { return std::tuple(-c.setting->accuracy, c.ms); }
auto by_latency(const Candidate& c) { return std::tuple(c.ms, -c.setting->accuracy); }

bool is_better(const Candidate& a, const Candidate& b) {
  if (a.feasible != b.feasible) return a.feasible;
  return a.feasible ? by_accuracy(a) < by_accuracy(b) : by_latency(a) < by_latency(b);
}

LatencyChoice to_choice(const Candidate& candidate) {
  return {
      .evaluated = *candidate.setting, .latency_ms = candidate.ms, .feasible = candidate.feasible};
}

}  // namespace

double distance(const ThresholdSetting& a, const ThresholdSetting& b) {
  double sum = 0;
  const auto add = [&](const std::vector<float>& x, const std::vector<float>& y) {
    for (std::size_t i = 0; i < x.size(); ++i) sum += std::pow(double{x[i]} - double{y[i]}, 2);
  };
  add(a.lambda, b.lambda);
  add(a.gamma, b.gamma);
  return std::sqrt(sum);
}

SettingGrid::SettingGrid(ConfidenceTable table, const GridAxes& axes, LatencyModel model,
                         const Watch& watch)
    : table_(std::move(table)), model_(std::move(model)) {
  model_.validate();
  if (table_.num_exits < 2)
    throw ConfigError("[grid] the network has no early exit, there is nothing to choose");
  const SettingCounter counter(axes, static_cast<std::size_t>(table_.num_exits - 1));
  const ConfidenceTable groups = grouped(table_, axes.lambdas, axes.gammas);
  settings_.reserve(counter.size());
  for (std::size_t number = 0; number < counter.size(); ++number) {
    if (watch && number % kWatchEvery == 0)
      watch(static_cast<double>(number) / static_cast<double>(counter.size()));
    settings_.push_back(evaluate_on(groups, model_.parts, counter.setting(number)));
  }
}

EvaluatedSetting SettingGrid::evaluate(const ThresholdSetting& setting) const {
  return evaluate_on(table_, model_.parts, setting);
}

double SettingGrid::mean_ms(const EvaluatedSetting& setting, double bits_per_second) const {
  return model_.mean_ms(setting.device_ms, setting.sent_share, bits_per_second);
}

LatencyChoice SettingGrid::at(const EvaluatedSetting& setting, double bits_per_second,
                              double limit_ms) const {
  const double ms = mean_ms(setting, bits_per_second);
  return {.evaluated = setting, .latency_ms = ms, .feasible = ms <= limit_ms};
}

LatencyChoice SettingGrid::best(double bits_per_second, double limit_ms) const {
  Candidate best;
  for (const EvaluatedSetting& setting : settings_) {
    const double ms = mean_ms(setting, bits_per_second);
    const Candidate candidate{.setting = &setting, .ms = ms, .feasible = ms <= limit_ms};
    if (best.setting == nullptr || is_better(candidate, best)) best = candidate;
  }
  return to_choice(best);
}

LatencyChoice SettingGrid::project(const ThresholdSetting& setting, double bits_per_second,
                                   double limit_ms) const {
  const LatencyChoice own = at(evaluate(setting), bits_per_second, limit_ms);
  if (own.feasible) return own;
  Candidate nearest;
  double nearest_distance = 0;
  for (const EvaluatedSetting& other : settings_) {
    const Candidate candidate{
        .setting = &other, .ms = mean_ms(other, bits_per_second), .feasible = true};
    if (candidate.ms > limit_ms) continue;
    const double away = distance(other.setting, setting);
    const bool nearer = nearest.setting == nullptr || away < nearest_distance;
    if (nearer || (away == nearest_distance && is_better(candidate, nearest))) {
      nearest = candidate;
      nearest_distance = away;
    }
  }
  return nearest.setting == nullptr ? best(bits_per_second, limit_ms) : to_choice(nearest);
}

}  // namespace branchy
