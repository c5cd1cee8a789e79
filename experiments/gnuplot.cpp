#include "experiments/gnuplot.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/printable.h"

namespace branchy {

namespace {

// Okabe and Ito's colours without yellow, which white paper swallows.
constexpr std::array<std::string_view, 7> kPalette{"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                   "#E69F00", "#56B4E9", "#000000"};
// Filled circle, square, triangle, diamond, inverted triangle, then their outlines.
constexpr std::array<int, 9> kMarkers{7, 5, 9, 13, 11, 6, 4, 8, 12};
constexpr std::int64_t kTitleHeight = 36;

/// A string of gnuplot, with what it would read in one as octal codes (a backquote runs a command).
std::string quoted(const std::string& place, const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      throw DataError(
          fmt::format("[plot {}] text '{}' holds a control character", place, printable(text)));
    result += c == '"' || c == '\\' || c == '`' ? fmt::format("\\{:03o}", c) : std::string(1, c);
  }
  return result + "\"";
}

void check_value(const PlotPanel& panel, const PlotAxis& axis, const char* name, double value) {
  if (std::isinf(value))
    throw DataError(
        fmt::format("[plot {}] a value of {} is infinite", printable(panel.title), name));
  if (axis.log && value <= 0.0)
    throw DataError(fmt::format("[plot {}] {} is {}, a logarithmic axis takes values above 0 only",
                                printable(panel.title), name, value));
}

void check(const PlotPanel& panel) {
  bool any = false;
  for (const PlotSeries& series : panel.series)
    for (const PlotPoint& point : series.points) {
      if (std::isnan(point.x))
        throw DataError(fmt::format("[plot {}] a point of '{}' has no x", printable(panel.title),
                                    printable(series.label)));
      if (std::isnan(point.low) != std::isnan(point.high))
        throw DataError(fmt::format("[plot {}] a point of '{}' has half an error bar",
                                    printable(panel.title), printable(series.label)));
      check_value(panel, panel.x, "x", point.x);
      for (const double value : {point.y, point.low, point.high})
        check_value(panel, panel.y, "y", value);
      any = any || !std::isnan(point.y);
    }
  if (!any) throw DataError(fmt::format("[plot {}] no point to draw", printable(panel.title)));
}

std::string axis_text(const PlotPanel& panel, const PlotAxis& axis, char name) {
  std::string text =
      fmt::format("set {}label {}\nunset logscale {}\nset xtics nomirror\nset ytics nomirror\n",
                  name, quoted(panel.title, axis.label), name);
  if (axis.log) text += fmt::format("set logscale {} 10\n", name);
  const auto bound = [](const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : std::string("*");
  };
  text += fmt::format("set {}range [{}:{}]\n", name, bound(axis.min), bound(axis.max));
  if (axis.ticks.empty()) return text + fmt::format("set {}tics autofreq\n", name);
  std::string ticks;
  for (const PlotAxis::Tick& tick : axis.ticks)
    ticks +=
        fmt::format("{}{} {}", ticks.empty() ? "" : ", ", quoted(panel.title, tick.name), tick.at);
  return text + fmt::format("set {}tics ({})\n", name, ticks);
}

const char* legend_text(LegendPlace place) {
  switch (place) {
    case LegendPlace::kTopLeft:
      return "set key inside top left Left reverse";
    case LegendPlace::kTopRight:
      return "set key inside top right";
    case LegendPlace::kBottomLeft:
      return "set key inside bottom left Left reverse";
    case LegendPlace::kBottomRight:
      return "set key inside bottom right";
    case LegendPlace::kBelow:
      return "set key outside below center horizontal";
    case LegendPlace::kNone:
      return "set key off";
  }
  return "set key off";
}

/// How gnuplot draws the points of a series, with the colour and the marker of its number.
std::string style_text(const PlotPanel& panel, const PlotSeries& series, std::size_t number) {
  const std::string color =
      quoted(panel.title, series.color.empty() ? std::string(kPalette.at(number % kPalette.size()))
                                               : series.color);
  const int marker = kMarkers.at(number % kMarkers.size());
  const std::string line = fmt::format("lw 2 dt {} lc rgb {}", series.dashed ? 2 : 1, color);
  switch (series.style) {
    case SeriesStyle::kLines:
      return "with lines " + line;
    case SeriesStyle::kPoints:
      return fmt::format("with points pt {} ps 0.8 lc rgb {}", marker, color);
    case SeriesStyle::kLinesPoints:
      return fmt::format("with linespoints {} pt {} ps 0.8", line, marker);
    case SeriesStyle::kSteps:
      return "with steps " + line;
    case SeriesStyle::kBars:
      return fmt::format("with boxes lc rgb {0} fs transparent solid 0.45 border lc rgb {0}",
                         color);
  }
  return "with lines " + line;
}

/// The data of a panel and the `plot` statement that draws them.
std::string series_text(const PlotPanel& panel, std::size_t panel_number) {
  std::string data;
  std::string elements;
  const auto add = [&](const std::string& element) {
    elements += (elements.empty() ? "plot " : ", \\\n     ") + element;
  };
  for (std::size_t i = 0; i < panel.series.size(); ++i) {
    const PlotSeries& series = panel.series[i];
    if (series.points.empty()) continue;
    const std::string block = fmt::format("$panel{}_{}", panel_number, i + 1);
    const double width = series.bar_width > 0.0 ? series.bar_width : 0.8;
    std::string bars;
    data += block + " << EOD\n";
    for (const PlotPoint& point : series.points) {
      // An empty line breaks a curve.
      data += std::isnan(point.y) ? "\n" : fmt::format("{} {} {}\n", point.x, point.y, width);
      if (!std::isnan(point.low) && !std::isnan(point.y))
        bars += fmt::format("{} {} {} {}\n", point.x, point.y, point.low, point.high);
    }
    data += "EOD\n";
    // Error bars lie below their points.
    if (!bars.empty()) {
      data += fmt::format("{}_bars << EOD\n{}EOD\n", block, bars);
      PlotSeries plain = series;
      plain.style = SeriesStyle::kLines;
      plain.dashed = false;
      const std::string line = style_text(panel, plain, i).substr(std::strlen("with lines"));
      add(fmt::format("{}_bars using 1:2:3:4 with yerrorbars pt 0{} notitle", block, line));
    }
    const bool boxes = series.style == SeriesStyle::kBars;
    add(fmt::format(
        "{} using 1:2{} {} {}", block, boxes ? ":3" : "", style_text(panel, series, i),
        series.label.empty() ? "notitle" : "title " + quoted(panel.title, series.label)));
  }
  return data + elements + "\n";
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using OwnedFile = std::unique_ptr<std::FILE, CloseFile>;

/// A file without a name, gone when closed.
OwnedFile temporary_file() {
  OwnedFile file(std::tmpfile());
  if (file == nullptr)
    throw IoError(fmt::format("[plot] cannot make a temporary file: {}", std::strerror(errno)));
  return file;
}

std::string content(std::FILE* file) {
  std::rewind(file);
  std::string text;
  std::array<char, 4096> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file))
    text.append(buffer.data(), count);
  return text;
}

/// What went wrong stands last in what gnuplot says, below the line of the program it is about.
std::string last_line(std::string text) {
  const std::size_t end = text.find_last_not_of(" \n");
  text = text.substr(0, end == std::string::npos ? 0 : end + 1);
  const std::size_t begin = text.find_last_of('\n');
  return printable(begin == std::string::npos ? text : text.substr(begin + 1));
}

/// Runs gnuplot on `script`, without anyone's start-up files, and gives its standard output.
std::string run_gnuplot(const std::string& script) {
  const OwnedFile input = temporary_file();
  const OwnedFile output = temporary_file();
  const OwnedFile errors = temporary_file();
  if (std::fwrite(script.data(), 1, script.size(), input.get()) != script.size() ||
      std::fflush(input.get()) != 0)
    throw IoError(fmt::format("[plot] cannot write a temporary file: {}", std::strerror(errno)));
  std::rewind(input.get());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fileno(input.get()), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(output.get()), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(errors.get()), STDERR_FILENO);
  std::string program = "gnuplot";
  std::string defaults = "-d";
  std::string from_input = "-";
  std::array<char*, 4> arguments{program.data(), defaults.data(), from_input.data(), nullptr};
  pid_t child = 0;
  const int refused =
      ::posix_spawnp(&child, "gnuplot", &actions, nullptr, arguments.data(), ::environ);
  posix_spawn_file_actions_destroy(&actions);
  if (refused != 0)
    throw IoError(fmt::format("[plot] cannot run gnuplot: {}; install the package gnuplot-nox",
                              std::strerror(refused)));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  std::string drawn = content(output.get());
  // It can end well with half a picture, such as for want of a font.
  if (status != 0 || drawn.find("</svg>") == std::string::npos)
    throw IoError(fmt::format("[plot] gnuplot failed: {}", last_line(content(errors.get()))));
  return drawn;
}

}  // namespace

std::string gnuplot_script(const Plot& plot) {
  if (plot.panels.empty()) throw DataError("[plot] no panel to draw");
  const auto count = static_cast<std::int64_t>(plot.panels.size());
  const std::int64_t columns =
      plot.columns > 0
          ? std::min(plot.columns, count)
          : static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  const std::int64_t rows = (count + columns - 1) / columns;
  const std::int64_t title_height = plot.title.empty() ? 0 : kTitleHeight;
  const std::int64_t height = rows * plot.panel_height + title_height;
  std::string script = fmt::format(
      "set encoding utf8\n"
      "set terminal svg size {},{} noenhanced background '#ffffff' font 'Helvetica,13' "
      "linewidth 1 name 'branchy'\n"
      "set border 3 lc rgb '#404040'\nset pointintervalbox 0\nset grid lc rgb '#e0e0e0' lt 1 lw 1\n"
      "set multiplot layout {},{}",
      columns * plot.panel_width, height, rows, columns);
  if (!plot.title.empty())
    script += fmt::format(" title {} font 'Helvetica,16'", quoted("title", plot.title));
  script += "\n";
  for (std::size_t i = 0; i < plot.panels.size(); ++i) {
    const PlotPanel& panel = plot.panels[i];
    check(panel);
    script += fmt::format("set title {}\n{}\n{}{}{}", quoted("title", panel.title),
                          legend_text(panel.legend), axis_text(panel, panel.x, 'x'),
                          axis_text(panel, panel.y, 'y'), series_text(panel, i + 1));
  }
  return script + "unset multiplot\n";
}

void write_svg(const Plot& plot, const std::filesystem::path& path) {
  write_file_atomically(path, run_gnuplot(gnuplot_script(plot)));
}

}  // namespace branchy
