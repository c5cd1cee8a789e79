#include "experiments/plot_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "experiments/csv_table.h"
#include "experiments/gnuplot.h"
#include "experiments/reliability_plot.h"

namespace branchy {

namespace {

struct CurveCommand {
  std::string file, out, x, group, title, x_label, y_label;
  std::vector<std::string> y;
  bool log_x = false, log_y = false, points = false;
};

/// One series for each column of --y and, of those, for each text in the column of --group, in the
/// order of the rows.
std::vector<PlotSeries> curves(const CurveCommand& c) {
  const CsvTable table(c.file);
  const std::vector<double> x = table.numbers(c.x);
  std::vector<std::string> groups(table.num_rows());
  if (!c.group.empty()) groups = table.texts(c.group);
  std::vector<PlotSeries> all;
  for (const std::string& column : c.y) {
    const std::vector<double> y = table.numbers(column);
    const std::size_t first = all.size();
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(x[i])) continue;
      const std::string label = c.group.empty()   ? column
                                : c.y.size() == 1 ? groups[i]
                                                  : column + ", " + groups[i];
      std::size_t at = first;
      while (at < all.size() && all[at].label != label) ++at;
      if (at == all.size())
        all.push_back(
            {.label = label, .style = c.points ? SeriesStyle::kPoints : SeriesStyle::kLinesPoints});
      all[at].points.push_back({x[i], y[i]});
    }
  }
  return all;
}

void draw_curves(const CurveCommand& c) {
  PlotPanel panel{
      .x = {.label = c.x_label.empty() ? c.x : c.x_label, .log = c.log_x},
      .y = {.label = c.y_label.empty() && c.y.size() == 1 ? c.y[0] : c.y_label, .log = c.log_y},
      .series = curves(c),
      .legend = LegendPlace::kBelow};
  if (panel.series.size() == 1) panel.legend = LegendPlace::kNone;
  write_svg({.title = c.title, .panels = {panel}, .panel_width = 640, .panel_height = 460}, c.out);
  fmt::print("{}: {} curves\n", c.out, panel.series.size());
}

void add_curve_command(CLI::App& plot) {
  CLI::App* verb = plot.add_subcommand("curve", "Columns of a CSV file over another column");
  const auto command = std::make_shared<CurveCommand>();
  verb->add_option("file", command->file, "CSV file with a line of column names")->required();
  verb->add_option("--x", command->x, "Column of the x axis")->required();
  verb->add_option("--y", command->y, "Columns to draw, one curve each")->required();
  verb->add_option("--group", command->group, "Column whose texts tell curves apart");
  verb->add_option("--out", command->out, "The SVG file")->required();
  verb->add_option("--title", command->title, "Above the plot");
  verb->add_option("--x-label", command->x_label,
                   "Below the x axis, with its unit (default: the column)");
  verb->add_option("--y-label", command->y_label, "Beside the y axis, with its unit");
  verb->add_flag("--log-x", command->log_x, "Logarithmic x axis");
  verb->add_flag("--log-y", command->log_y, "Logarithmic y axis");
  verb->add_flag("--points", command->points, "Points without lines");
  verb->callback([command] { draw_curves(*command); });
}

struct ReliabilityCommand {
  std::string report, out, part;
};

void add_reliability_command(CLI::App& plot) {
  CLI::App* verb = plot.add_subcommand(
      "reliability", "Accuracy over confidence of every exit before and after calibration");
  const auto command = std::make_shared<ReliabilityCommand>();
  verb->add_option("report", command->report, "JSON file of `branchy calibrate --report`")
      ->required();
  verb->add_option("--part", command->part, "Images: val or test (default: those of the fit)");
  verb->add_option("--out", command->out, "The SVG file")->required();
  verb->callback([command] {
    const Plot drawn = reliability_plot(command->report, command->part);
    write_svg(drawn, command->out);
    fmt::print("{}: {} exits\n", command->out, drawn.panels.size());
  });
}

}  // namespace

void add_plot_command(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("plot", "Draw what other commands wrote, to SVG (needs gnuplot)");
  verb->require_subcommand(1);
  add_curve_command(*verb);
  add_reliability_command(*verb);
}

}  // namespace branchy
