#include "train/gamma_rule.h"

#include <fmt/core.h>

#include <bit>
#include <cmath>

#include "core/error.h"
#include "infer/policies/exit_thresholds.h"

namespace branchy {

namespace {

constexpr std::int64_t kGridSteps = 20;
constexpr std::size_t kMostExact = 5;  // early exits: 21^5 vectors take about a second

/// A set of samples.
using Samples = std::vector<std::uint64_t>;

std::int64_t count(const Samples& samples) {
  std::int64_t total = 0;
  for (const std::uint64_t word : samples) total += std::popcount(word);
  return total;
}

Samples intersection(Samples a, const Samples& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] &= b[i];
  return a;
}

Samples difference(Samples a, const Samples& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] &= ~b[i];
  return a;
}

/// The rows where column `exit` of `table` reaches `least`.
Samples reaching(const Tensor& table, std::size_t exit, float least) {
  const auto rows = static_cast<std::size_t>(table.dim(0));
  const auto columns = static_cast<std::size_t>(table.dim(1));
  const auto values = table.data();
  Samples samples((rows + 63) / 64);
  for (std::size_t row = 0; row < rows; ++row)
    if (should_exit(values[row * columns + exit], least))
      samples[row / 64] |= std::uint64_t{1} << (row % 64);
  return samples;
}

/// Where the samples are after some exits.
struct Stage {
  Samples going_on;
  std::int64_t operations = 0;  // of all samples
};

/// Eq. 3 and 4 as sets: which samples each gamma lets compute an exit, and which it accepts.
class Search {
 public:
  explicit Search(const PredictedExits& exits)
      : costs_(exits.costs), total_(exits.scores.dim(0)), grid_(gamma_grid()) {
    for (std::size_t exit = 0; exit < exits.thresholds.size(); ++exit) {
      accepted_.push_back(reaching(exits.confidences, exit, exits.thresholds[exit]));
      auto& computed = computed_.emplace_back();
      for (const float gamma : grid_) computed.push_back(reaching(exits.scores, exit, gamma));
    }
  }

  [[nodiscard]] Stage start(bool predicts) const {
    Samples all(accepted_.front().size());
    for (std::int64_t i = 0; i < total_; ++i)
      all[static_cast<std::size_t>(i / 64)] |= std::uint64_t{1} << (i % 64);
    return {std::move(all), predicts ? total_ * costs_.predictor : 0};
  }

  [[nodiscard]] Stage pass(const Stage& at, std::size_t exit, std::size_t gamma) const {
    return pass(at, exit, intersection(at.going_on, computed_[exit][gamma]));
  }

  [[nodiscard]] Stage pass(const Stage& at, std::size_t exit, const Samples& computed) const {
    return {difference(at.going_on, intersection(computed, accepted_[exit])),
            at.operations + count(at.going_on) * costs_.trunk[exit] +
                count(computed) * costs_.exit[exit]};
  }

  [[nodiscard]] Stage run(const std::vector<std::size_t>& gamma) const {
    Stage stage = start(true);
    for (std::size_t exit = 0; exit < gamma.size(); ++exit) stage = pass(stage, exit, gamma[exit]);
    return stage;
  }

  [[nodiscard]] DeviceOutcome outcome(const Stage& end) const {
    const auto total = static_cast<double>(total_);
    return {.last_share = static_cast<double>(count(end.going_on)) / total,
            .device_operations = static_cast<double>(end.operations) / total};
  }

  /// All vectors, but for those that already cost more than the best.
  void try_all(const Stage& at, double most_last) {
    const std::size_t exit = indices_.size();
    if (exit == accepted_.size()) {
      take_if_better(at, most_last);
      return;
    }
    Samples previous;
    for (std::size_t g = 0; g < grid_.size(); ++g) {
      Samples computed = intersection(at.going_on, computed_[exit][g]);
      if (g > 0 && computed == previous) continue;
      const Stage next = pass(at, exit, computed);
      previous = std::move(computed);
      if (!best_.empty() && next.operations > best_operations_) continue;
      indices_.push_back(g);
      try_all(next, most_last);
      indices_.pop_back();
    }
  }

  /// One exit after the other, from gamma = 0.
  void climb(double most_last) {
    indices_.assign(accepted_.size(), 0);
    take_if_better(run(indices_), most_last);
    for (std::vector<std::size_t> before; before != best_;) {
      before = best_;
      for (std::size_t exit = 0; exit < accepted_.size(); ++exit) {
        indices_ = best_;
        for (indices_[exit] = 0; indices_[exit] < grid_.size(); ++indices_[exit])
          take_if_better(run(indices_), most_last);
      }
    }
  }

  [[nodiscard]] std::vector<float> best() const {
    std::vector<float> gamma;
    gamma.reserve(best_.size());
    for (const std::size_t index : best_) gamma.push_back(grid_[index]);
    return gamma;
  }

  [[nodiscard]] std::size_t num_exits() const { return accepted_.size(); }

 private:
  void take_if_better(const Stage& end, double most_last) {
    const std::int64_t last = count(end.going_on);
    if (static_cast<double>(last) >= most_last) return;
    const bool is_better = best_.empty() || end.operations < best_operations_ ||
                           (end.operations == best_operations_ && last < best_last_);
    if (!is_better) return;
    best_ = indices_;
    best_operations_ = end.operations;
    best_last_ = last;
  }

  const ExitCosts& costs_;
  std::int64_t total_;
  std::vector<float> grid_;
  std::vector<Samples> accepted_;               // [exit]
  std::vector<std::vector<Samples>> computed_;  // [exit][place in the grid]
  std::vector<std::size_t> indices_, best_;     // places in the grid
  std::int64_t best_operations_ = 0, best_last_ = 0;
};

void check(const PredictedExits& exits) {
  const auto early = std::ssize(exits.thresholds);
  const Shape expected{exits.scores.dim(0), early};
  BRANCHY_DCHECK(early >= 1 && expected[0] >= 1 && exits.costs.num_exits() == early + 1);
  BRANCHY_DCHECK(exits.scores.shape() == expected && exits.confidences.shape() == expected);
}

}  // namespace

DeviceOutcome outcome_without_predictor(const PredictedExits& exits) {
  check(exits);
  const Search search(exits);
  Stage stage = search.start(false);
  for (std::size_t exit = 0; exit < search.num_exits(); ++exit)
    stage = search.pass(stage, exit, stage.going_on);
  return search.outcome(stage);
}

DeviceOutcome outcome_with_predictor(const PredictedExits& exits, std::span<const float> gamma) {
  check(exits);
  BRANCHY_DCHECK(gamma.size() == exits.thresholds.size());
  const Search search(exits);
  Stage stage = search.start(true);
  for (std::size_t exit = 0; exit < gamma.size(); ++exit)
    stage = search.pass(stage, exit,
                        intersection(stage.going_on, reaching(exits.scores, exit, gamma[exit])));
  return search.outcome(stage);
}

std::vector<float> gamma_grid() {
  std::vector<float> grid;
  grid.reserve(kGridSteps + 1);
  for (std::int64_t step = 0; step <= kGridSteps; ++step)
    grid.push_back(static_cast<float>(step) / static_cast<float>(kGridSteps));
  return grid;
}

GammaChoice choose_gamma(const PredictedExits& exits, double max_growth) {
  if (!(max_growth > 0.0))
    throw ConfigError(
        fmt::format("[predictor] --max-growth {}, expected above 0: the growth must stay below it",
                    max_growth));
  GammaChoice choice{.gamma = {}, .without = outcome_without_predictor(exits), .with = {}};
  const auto total = static_cast<double>(exits.scores.dim(0));
  // In samples, so that a growth of exactly `max_growth` is refused whatever the division gives.
  const double most_last = std::round(choice.without.last_share * total) + max_growth * total;
  Search search(exits);
  if (search.num_exits() <= kMostExact)
    search.try_all(search.start(true), most_last);
  else
    search.climb(most_last);
  choice.gamma = search.best();
  choice.with = outcome_with_predictor(exits, choice.gamma);
  return choice;
}

}  // namespace branchy
