#include "experiments/adapt_figure.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/threads.h"
#include "experiments/gnuplot.h"
#include "experiments/latency_methods.h"
#include "infer/policies/max_probability.h"
#include "infer/threshold_list.h"
#include "layers/metadata_reader.h"

namespace branchy {

namespace {

constexpr double kTestTolerance = 0.03;

struct AdaptFigureCommand {
  AdaptFlags flags;
  std::string static_lambda = "0.95,0.85", static_gamma;
  std::vector<std::string> methods = {"regression"}, pruned;
  std::filesystem::path out;
};

/// MODEL,CACHE or MODEL,CACHE,TEST of --pruned.
std::unique_ptr<AdaptInputs> load_pruned(const AdaptFigureCommand& c, const std::string& text) {
  const std::vector<std::string> files = split_text(text, ',');
  const std::size_t expected = c.flags.test.empty() ? 2 : 3;
  if (files.size() != expected)
    throw ConfigError(fmt::format("[adapt-figure] --pruned {}, expected MODEL,CACHE{}", text,
                                  expected == 3 ? ",TEST" : ""));
  AdaptFlags flags = c.flags;
  flags.model = files[0];
  flags.selection = files[1];
  if (expected == 3) flags.test = files[2];
  flags.no_predictor = true;
  return std::make_unique<AdaptInputs>(load_adapt_inputs(flags));
}

/// By the flag, else what `branchy predictor` chose for the model.
std::vector<float> static_gamma(const AdaptFigureCommand& c, const AdaptInputs& inputs,
                                std::int64_t early) {
  std::string text = c.static_gamma;
  if (text.empty()) {
    const auto record = inputs.model.info.records.find("predictor.gamma");
    if (record == inputs.model.info.records.end())
      throw ConfigError(
          "[adapt-figure] the model has no record predictor.gamma; give --static-gamma");
    text = record->second;
  }
  return resolve_thresholds(parse_thresholds(text), early);
}

MethodOptions method_options(const AdaptFigureCommand& c, const AdaptInputs& inputs) {
  const std::int64_t exits = inputs.selection.num_exits();
  MethodOptions options{
      .axes = grid_axes(c.flags, exits, inputs.has_scores),
      .static_lambda = resolve_thresholds(parse_thresholds(c.static_lambda), exits - 1),
      .limit_ms = c.flags.kept_limit_ms(),
      .bandwidths = inputs.bandwidths,
      .regression = {.hidden = c.flags.hidden, .seed = c.flags.seed}};
  if (inputs.has_scores) options.static_gamma = static_gamma(c, inputs, exits - 1);
  for (const std::string& name : c.methods) options.adapt.push_back(parse_adapt_method(name));
  return options;
}

enum class Quantity { kAccuracy, kLatency };

PlotPanel panel_of(const LatencyReport& report, Quantity quantity, bool test) {
  const bool accuracy = quantity == Quantity::kAccuracy;
  PlotPanel panel{.title = test ? "test data" : "selection data",
                  .x = {.label = "bandwidth (Mbit/s)", .log = true},
                  .y = {.label = accuracy ? "accuracy (%)" : "mean latency (ms)"},
                  .legend = LegendPlace::kBelow};
  // The backbone and the static methods take many times the limit on slow links: a linear axis
  // would show nothing else.
  if (!accuracy) panel.y.log = true;
  for (const LatencyRow& row : report.rows) {
    if (panel.series.empty() || panel.series.back().label != row.method)
      panel.series.push_back({.label = row.method});
    const LatencyPoint& point = test ? *row.test : row.selection;
    panel.series.back().points.push_back(
        {.x = row.bits_per_second / 1e6,
         .y = accuracy ? 100.0 * point.accuracy : point.latency_ms});
  }
  if (!accuracy)
    panel.series.push_back(
        {.label = fmt::format("limit {:g} ms", report.limit_ms),
         .points = {{.x = report.rows.front().bits_per_second / 1e6, .y = report.limit_ms},
                    {.x = report.rows.back().bits_per_second / 1e6, .y = report.limit_ms}},
         .style = SeriesStyle::kLines,
         .dashed = true,
         .color = "#000000"});
  return panel;
}

void write_figure(const AdaptFigureCommand& c, const LatencyReport& report) {
  std::error_code error;
  std::filesystem::create_directories(c.out, error);
  if (error) throw IoError(fmt::format("[{}] cannot be made: {}", c.out.string(), error.message()));
  write_file_atomically(c.out / "table.txt", report.text());
  write_file_atomically(c.out / "table.csv", report.csv());
  write_file_atomically(c.out / "table.json", report.json());
  const bool tested = report.rows.front().test.has_value();
  for (const Quantity quantity : {Quantity::kAccuracy, Quantity::kLatency}) {
    Plot plot{.panel_width = 560, .panel_height = 520};
    plot.panels.push_back(panel_of(report, quantity, false));
    if (tested) plot.panels.push_back(panel_of(report, quantity, true));
    write_svg(plot, c.out / (quantity == Quantity::kAccuracy ? "accuracy.svg" : "latency.svg"));
  }
}

void run(const AdaptFigureCommand& c) {
  set_num_threads(1);  // the regression networks are too small for more
  const AdaptInputs inputs = load_adapt_inputs(c.flags);
  std::vector<std::unique_ptr<AdaptInputs>> pruned;
  for (const std::string& text : c.pruned) pruned.push_back(load_pruned(c, text));
  LatencyReport report = empty_report(c.flags, inputs);
  report.facts.emplace_back("backbone", "final exit of the same network, exits left out");
  report.rows = compare_methods(inputs, pruned, method_options(c, inputs));
  if (!c.out.empty()) write_figure(c, report);
  fmt::print("{}", report.text());
  auto violations = limit_violations(report.rows, c.flags.limit_ms, 0.0, false);
  for (std::string& line : limit_violations(report.rows, c.flags.limit_ms, kTestTolerance, true))
    violations.push_back(std::move(line));
  if (!violations.empty())
    throw DataError(
        fmt::format("[adapt-figure] {} adaptive settings break the limit of {:g} ms "
                    "(by more than 3 % on test data): {}",
                    violations.size(), c.flags.limit_ms, fmt::join(violations, "; ")));
}

}  // namespace

void add_adapt_figure_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "adapt-figure",
      "Accuracy and mean latency by bandwidth of backbone, static and adaptive early exits, with "
      "predictor, pruned encoder and oracle (Dong et al. 2022, Fig. 10)");
  const auto command = std::make_shared<AdaptFigureCommand>();
  add_adapt_flags(*verb, command->flags);
  verb->add_option("--static", command->static_lambda,
                   "Confidences of the methods that do not adapt")
      ->capture_default_str();
  verb->add_option("--static-gamma", command->static_gamma,
                   "Predictor scores of the static one (default: the model's record)");
  verb->add_option("--method", command->methods,
                   "How thresholds follow the bandwidth: search, interpolate, regression")
      ->check(CLI::IsMember({"search", "interpolate", "regression"}))
      ->delimiter(',')
      ->capture_default_str();
  verb->add_option("--pruned", command->pruned,
                   "MODEL,CACHE[,TEST] of the network with a smaller code; once for each");
  verb->add_option("--out", command->out,
                   "Folder for table.txt, table.csv, table.json, accuracy.svg, latency.svg");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
