#include "experiments/predictor_curve_result.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/provenance.h"
#include "experiments/gnuplot.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

constexpr double kMillion = 1e6;

std::string csv_row(const std::string& series, const std::string& labels, float lambda,
                    const std::vector<float>& gamma, const char* images,
                    const PolicyOutcome& outcome) {
  return fmt::format("{},{},{},{},{},{:.6f},{:.6f},{:.1f}\n", series, labels, lambda,
                     fmt::join(gamma, "+"), images, outcome.accuracy, outcome.last_share,
                     outcome.device_operations);
}

std::string text_row(const CurvePredictor& p, const char* images, const PredictorEvaluation& e) {
  std::string auroc;
  for (const PredictorQuality& quality : e.quality) auroc += fmt::format(" {:.3f}", quality.auroc);
  return fmt::format(
      "{:<9} {:<8} {:>5} {:<12} {:<10} {:>7.2f} {:>+6.2f} {:>8.3f} {:>8.3f} {:>7.2f} {:>6.2f} "
      "{:>+6.2f} {:<5}{}\n",
      p.labels, p.kind, p.lambda, fmt::format("{}", fmt::join(p.gamma, " ")), images,
      100.0 * e.with.accuracy, 100.0 * e.accuracy_gain(), e.without.device_operations / kMillion,
      e.with.device_operations / kMillion, 100.0 * e.saved(), 100.0 * e.with.last_share,
      100.0 * e.growth(), e.keeps_promise() ? "yes" : "no", auroc);
}

PlotSeries series_of(const CurveReference& reference) {
  PlotSeries series;
  series.label = reference.name;
  series.dashed = true;
  for (const PolicyOutcome& outcome : reference.outcomes)
    series.points.push_back(
        {.x = outcome.device_operations / kMillion, .y = 100.0 * outcome.accuracy});
  return series;
}

/// What the legend calls a kind.
std::string label_of(const CurvePredictor& predictor) {
  return fmt::format("EE+EP {} ({:.2f} M)", predictor.kind,
                     static_cast<double>(predictor.operations) / kMillion);
}

/// The panel around the predictors and what early exits alone do at their thresholds.
PlotPanel detail_of(PlotPanel panel, const PredictorCurve& curve) {
  std::vector<PlotPoint> shown;
  float lowest = 1.0F;
  for (const CurvePredictor& p : curve.predictors) {
    lowest = std::min(lowest, p.lambda);
    for (const PolicyOutcome& outcome : {p.test.with, p.test.without})
      shown.push_back({.x = outcome.device_operations / kMillion, .y = 100.0 * outcome.accuracy});
  }
  const auto [left, right] = std::ranges::minmax(shown, {}, &PlotPoint::x);
  const auto [low, high] = std::ranges::minmax(shown, {}, &PlotPoint::y);
  constexpr double kMargin = 0.05;  // of a point of accuracy
  panel.x.min = std::floor(left.x);
  panel.x.max = std::ceil(right.x);
  panel.y.min = low.y - kMargin;
  panel.y.max = high.y + kMargin;
  panel.title += fmt::format(", thresholds from {}", lowest);
  panel.legend = LegendPlace::kNone;
  return panel;
}

Plot plot_of(const PredictorCurve& curve) {
  Plot plot{.title = fmt::format("Exit prediction, {}", curve.data), .panels = {}};
  for (const CurvePredictor& predictor : curve.predictors) {
    const std::string title = fmt::format("labels: {}", predictor.labels);
    if (plot.panels.empty() || plot.panels.back().title != title) {
      plot.panels.push_back({.title = title,
                             .x = {.label = "mean on-device operations (10^6, ptflops)"},
                             .y = {.label = "test accuracy (%)"},
                             .series = {},
                             .legend = LegendPlace::kBottomRight});
      for (const CurveReference& reference : curve.references)
        plot.panels.back().series.push_back(series_of(reference));
    }
    auto& all = plot.panels.back().series;
    const std::string label = label_of(predictor);
    auto found = std::ranges::find(all, label, &PlotSeries::label);
    if (found == all.end()) {
      all.emplace_back().label = label;
      found = std::prev(all.end());
    }
    found->points.push_back({.x = predictor.test.with.device_operations / kMillion,
                             .y = 100.0 * predictor.test.with.accuracy});
  }
  const std::size_t panels = plot.panels.size();
  for (std::size_t i = 0; i < panels; ++i) plot.panels.push_back(detail_of(plot.panels[i], curve));
  plot.columns = static_cast<std::int64_t>(panels);
  return plot;
}

}  // namespace

std::string to_text(const PredictorCurve& curve) {
  std::string text = fmt::format(
      "{} on {}; operations in 10^6 (ptflops), accuracy and shares in %, differences in points "
      "against\nthe same thresholds without predictor; gamma grows the last exit by less than {} "
      "points on the\nimages that chose it; kept: operations saved, at most 0.1 points of accuracy "
      "lost, less than 2 points\nmore at the last exit\n\n",
      curve.model, curve.data, 100.0 * curve.max_growth);
  text += fmt::format(
      "{:<9} {:<8} {:>5} {:<12} {:<10} {:>7} {:>6} {:>8} {:>8} {:>7} {:>6} {:>6} "
      "{:<5} {}\n",
      "labels", "kind", "thr.", "gamma", "images", "acc.", "diff.", "EE M", "EP M", "saved %",
      "last", "diff.", "kept", "AUROC by exit");
  for (const CurvePredictor& p : curve.predictors)
    text += text_row(p, "selection", p.selection) + text_row(p, "test", p.test);
  text += fmt::format("\n{:<24} {:>5} {:>9} {:>9} {:>9}  on the test images\n", "without predictor",
                      "thr.", "acc.", "M", "last");
  for (const CurveReference& reference : curve.references)
    for (std::size_t i = 0; i < reference.outcomes.size(); ++i)
      text += fmt::format("{:<24} {:>5} {:>9.2f} {:>9.3f} {:>9.2f}\n", reference.name,
                          reference.lambdas[i], 100.0 * reference.outcomes[i].accuracy,
                          reference.outcomes[i].device_operations / kMillion,
                          100.0 * reference.outcomes[i].last_share);
  const auto high = [](const CurvePredictor& p) { return p.lambda >= 0.9F; };
  text += fmt::format(
      "\nthresholds of 0.9 and above: kept by {} of {} on the selection images, by {} on the test "
      "images, by {} on both\n",
      std::ranges::count_if(curve.predictors,
                            [&](const auto& p) { return high(p) && p.selection.keeps_promise(); }),
      std::ranges::count_if(curve.predictors, high),
      std::ranges::count_if(curve.predictors,
                            [&](const auto& p) { return high(p) && p.test.keeps_promise(); }),
      std::ranges::count_if(curve.predictors,
                            [&](const auto& p) { return high(p) && p.keeps_promise(); }));
  return text;
}

std::string to_csv(const PredictorCurve& curve) {
  std::string csv = "series,labels,lambda,gamma,images,accuracy,last_share,device_operations\n";
  for (const CurvePredictor& p : curve.predictors) {
    csv += csv_row(p.kind, p.labels, p.lambda, p.gamma, "selection", p.selection.with);
    csv += csv_row(p.kind, p.labels, p.lambda, p.gamma, "test", p.test.with);
  }
  for (const CurveReference& reference : curve.references)
    for (std::size_t i = 0; i < reference.outcomes.size(); ++i)
      csv += csv_row(reference.name, "", reference.lambdas[i], {}, "test", reference.outcomes[i]);
  return csv;
}

std::string to_json(const PredictorCurve& curve) {
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["model"] = curve.model;
  json["data"] = curve.data;
  json["max_growth"] = curve.max_growth;
  for (const CurvePredictor& p : curve.predictors)
    json["predictors"].push_back({{"kind", p.kind},
                                  {"labels", p.labels},
                                  {"lambda", p.lambda},
                                  {"operations", p.operations},
                                  {"training", p.training},
                                  {"gamma", p.gamma},
                                  {"selection", ordered_json::parse(to_json(p.selection))},
                                  {"test", ordered_json::parse(to_json(p.test))}});
  for (const CurveReference& reference : curve.references) {
    ordered_json points;
    for (std::size_t i = 0; i < reference.outcomes.size(); ++i) {
      ordered_json& point = points.emplace_back(ordered_json{{"lambda", reference.lambdas[i]}});
      point.update(ordered_json::parse(to_json(reference.outcomes[i])));
    }
    json["references"].push_back({{"name", reference.name}, {"test", points}});
  }
  return json.dump(2) + "\n";
}

void write_curve(const PredictorCurve& curve, const std::filesystem::path& folder) {
  write_file_atomically(folder / "curve.txt", to_text(curve));
  write_file_atomically(folder / "curve.csv", to_csv(curve));
  write_file_atomically(folder / "curve.json", to_json(curve));
  write_svg(plot_of(curve), folder / "curve.svg");
}

}  // namespace branchy
