#include "experiments/latency_methods.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace branchy {

namespace {

constexpr std::string_view kAdaptive = "adaptive";

ConfidenceTable without_scores(ConfidenceTable table) {
  table.scores.clear();
  return table;
}

class Comparison {
 public:
  Comparison(const AdaptInputs& inputs, const MethodOptions& options)
      : inputs_(inputs), options_(options) {}

  void add_backbone() {
    for (const double bandwidth : options_.bandwidths) {
      const auto point = [&](const ConfidenceTable& table) {
        return latency_point(count_backbone(table), inputs_.latency, inputs_.selection.costs,
                             bandwidth);
      };
      LatencyRow row{.method = "backbone",
                     .bits_per_second = bandwidth,
                     .policy = "no early exits",
                     .selection = point(inputs_.table),
                     .test = {}};
      if (inputs_.test_table) row.test = point(*inputs_.test_table);
      rows_.push_back(std::move(row));
    }
  }

  void add_static(const std::string& method, const ThresholdSetting& setting) {
    for (const double bandwidth : options_.bandwidths)
      rows_.push_back(latency_row(inputs_, method, bandwidth, setting));
  }

  void add_adaptive(const std::string& method, const GridAxes& axes) {
    const SettingGrid grid = grid_of(inputs_, axes);
    const Adaptation adaptation = adapt(grid);
    for (const AdaptMethod how : options_.adapt)
      for (const double bandwidth : options_.bandwidths)
        rows_.push_back(latency_row(inputs_, named(method, how), bandwidth,
                                    adaptation.choose(how, bandwidth).evaluated.setting));
  }

  /// The most accurate of several codes, each with the settings that suit it.
  void add_pruned(const std::vector<std::unique_ptr<AdaptInputs>>& pruned, const GridAxes& axes) {
    std::vector<const AdaptInputs*> codes{&inputs_};
    for (const auto& other : pruned) codes.push_back(other.get());
    std::vector<SettingGrid> grids;
    std::vector<Adaptation> adaptations;
    grids.reserve(codes.size());
    adaptations.reserve(codes.size());
    for (const AdaptInputs* code : codes) grids.push_back(grid_of(*code, axes));
    for (const SettingGrid& grid : grids) adaptations.push_back(adapt(grid));
    for (const AdaptMethod how : options_.adapt)
      for (const double bandwidth : options_.bandwidths) {
        std::size_t best = 0;
        LatencyChoice chosen = adaptations[0].choose(how, bandwidth);
        for (std::size_t i = 1; i < codes.size(); ++i) {
          LatencyChoice other = adaptations[i].choose(how, bandwidth);
          if (!is_better(other, chosen)) continue;
          chosen = std::move(other);
          best = i;
        }
        LatencyRow row = latency_row(*codes[best], named("EE adaptive, encoder pruned", how),
                                     bandwidth, chosen.evaluated.setting);
        row.policy += fmt::format(" {:g} bytes", codes[best]->latency.sent_bytes);
        rows_.push_back(std::move(row));
      }
  }

  [[nodiscard]] std::vector<LatencyRow> take() { return std::move(rows_); }

 private:
  static bool is_better(const LatencyChoice& a, const LatencyChoice& b) {
    if (a.feasible != b.feasible) return a.feasible;
    if (!a.feasible) return a.latency_ms < b.latency_ms;
    return a.evaluated.accuracy > b.evaluated.accuracy;
  }
  /// Without gammas the scores would only make more groups of samples.
  static SettingGrid grid_of(const AdaptInputs& inputs, const GridAxes& axes) {
    return {axes.gammas.empty() ? without_scores(inputs.table) : inputs.table, axes,
            inputs.latency};
  }
  [[nodiscard]] Adaptation adapt(const SettingGrid& grid) const {
    return {grid,
            {.limit_ms = options_.limit_ms,
             .bandwidths = options_.bandwidths,
             .regression = options_.regression}};
  }
  static std::string named(const std::string& method, AdaptMethod how) {
    return fmt::format("{} ({})", method, method_name(how));
  }

  const AdaptInputs& inputs_;
  const MethodOptions& options_;
  std::vector<LatencyRow> rows_;
};

}  // namespace

std::vector<LatencyRow> compare_methods(const AdaptInputs& inputs,
                                        const std::vector<std::unique_ptr<AdaptInputs>>& pruned,
                                        const MethodOptions& options) {
  Comparison comparison(inputs, options);
  GridAxes axes = options.axes;
  const std::vector<float> gammas = std::exchange(axes.gammas, {});
  comparison.add_backbone();
  comparison.add_static("EE static", {.lambda = options.static_lambda});
  if (inputs.has_scores)
    comparison.add_static("EE+EP static",
                          {.lambda = options.static_lambda, .gamma = options.static_gamma});
  comparison.add_adaptive("EE adaptive", axes);
  if (!pruned.empty()) comparison.add_pruned(pruned, axes);
  if (inputs.has_scores) {
    axes.gammas = gammas;
    comparison.add_adaptive("EE+EP adaptive", axes);
    axes.gammas.clear();
  }
  axes.oracle = true;
  comparison.add_adaptive("EE+oracle adaptive", axes);
  return comparison.take();
}

std::vector<std::string> limit_violations(const std::vector<LatencyRow>& rows, double limit_ms,
                                          double tolerance, bool test) {
  std::vector<std::string> lines;
  for (const LatencyRow& row : rows) {
    if (row.method.find(kAdaptive) == std::string::npos || (test && !row.test)) continue;
    const double ms = test ? row.test->latency_ms : row.selection.latency_ms;
    if (ms > limit_ms * (1.0 + tolerance))
      lines.push_back(fmt::format("{} at {:g} Mbit/s: {:.2f} ms on the {} data", row.method,
                                  row.bits_per_second / 1e6, ms, test ? "test" : "selection"));
  }
  return lines;
}

}  // namespace branchy
