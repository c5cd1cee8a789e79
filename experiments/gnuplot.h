// Plots as typed data, drawn to SVG by Debian's gnuplot.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace branchy {

/// A point of a series, in the units of the panel's axes. NaN as `y` is a gap: lines break there.
/// With `low` and `high` (both or none) the point carries an error bar from one to the other.
struct PlotPoint {
  double x = 0.0;
  double y = 0.0;
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
};

enum class SeriesStyle { kLines, kPoints, kLinesPoints, kSteps, kBars };

/// One curve, cloud of points or row of bars.
struct PlotSeries {
  std::string label = {};  ///< in the legend; empty: not listed
  std::vector<PlotPoint> points = {};
  SeriesStyle style = SeriesStyle::kLinesPoints;
  bool dashed = false;
  double bar_width = 0.0;  ///< of kBars, in units of x; 0: 0.8
  /// "#rrggbb"; empty: the next colour of the palette, which the colour-blind tell apart
  /// (M. Okabe, K. Ito, "Color Universal Design", 2008).
  std::string color = {};
};

struct PlotAxis {
  std::string label;                         ///< with its unit: "latency (ms)"
  bool log = false;                          ///< base 10; every value must be above 0
  std::optional<double> min = {}, max = {};  ///< default: as the data need
  /// Names at positions, in place of numbers; empty: numbers.
  struct Tick {
    double at = 0.0;
    std::string name;
  };
  std::vector<Tick> ticks = {};
};

enum class LegendPlace { kTopLeft, kTopRight, kBottomLeft, kBottomRight, kBelow, kNone };

/// One pair of axes.
struct PlotPanel {
  std::string title = {};
  PlotAxis x = {}, y = {};
  std::vector<PlotSeries> series = {};
  LegendPlace legend = LegendPlace::kTopRight;
};

/// Panels in rows of `columns` (0: as square as they go) under a title.
struct Plot {
  std::string title = {};
  std::vector<PlotPanel> panels = {};
  std::int64_t columns = 0;
  std::int64_t panel_width = 480, panel_height = 380;  ///< pixels
};

/// The program for gnuplot 5 that draws `plot` as SVG on its standard output. Throws DataError for
/// a plot without panels, a panel without any point, infinite values, values <= 0 on a logarithmic
/// axis, half an error bar, control characters in a text; it names the panel.
[[nodiscard]] std::string gnuplot_script(const Plot& plot);

/// Draws `plot` into an SVG file, which appears whole or not at all. The same plot gives the same
/// bytes. Throws what gnuplot_script throws, and IoError when gnuplot (Debian package gnuplot-nox)
/// is not there or fails.
void write_svg(const Plot& plot, const std::filesystem::path& path);

}  // namespace branchy
