#include "experiments/gnuplot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>

#include "core/error.h"
#include "tests/support/child_process.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

Plot two_panels() {
  PlotPanel curves{.title = "curves_of <two> & more",
                   .x = {.label = "operations (M)", .log = true},
                   .y = {.label = "accuracy (%)", .min = 0.0, .max = 100.0}};
  curves.series.push_back({.label = "EE's", .points = {{1, 50, 45, 55}, {10, 70, 65, 75}}});
  curves.series.push_back(
      {.label = "oracle", .points = {{1, 60}, {3, std::nan("")}, {10, 80}}, .dashed = true});
  PlotPanel bars{.title = "bars", .y = {.label = "share (%)"}, .legend = LegendPlace::kNone};
  bars.x.ticks = {{1, "exit_1"}, {2, "exit_2"}};
  bars.series.push_back(
      {.label = "", .points = {{1, 30}, {2, 70}}, .style = SeriesStyle::kBars, .bar_width = 0.5});
  return {.title = "shares", .panels = {curves, bars}};
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

TEST(Gnuplot, DrawsEveryPanelWithItsTexts) {
  const test::TemporaryDirectory folder;
  write_svg(two_panels(), folder / "plot.svg");
  const std::string svg = test::read_text(folder / "plot.svg");
  for (const char* text :
       {"<svg", "shares", "curves_of &lt;two> &amp; more", "operations (M)", "accuracy (%)", "EE's",
        "oracle", "exit_1", "exit_2", "share (%)", "rgb(  0, 114, 178)", "</svg>"})
    EXPECT_NE(svg.find(text), std::string::npos) << text << " is not in\n" << svg;
}

TEST(Gnuplot, GivesTheSameBytesAgainAndLeavesNothingBeside) {
  const test::TemporaryDirectory folder;
  write_svg(two_panels(), folder / "a.svg");
  write_svg(two_panels(), folder / "b.svg");
  EXPECT_EQ(test::read_text(folder / "a.svg"), test::read_text(folder / "b.svg"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2);
}

TEST(Gnuplot, ScriptHoldsPointsGapsAndErrorBars) {
  const std::string script = gnuplot_script(two_panels());
  EXPECT_NE(script.find("1 50 0.8\n10 70 0.8\nEOD"), std::string::npos) << script;
  EXPECT_NE(script.find("1 60 0.8\n\n10 80 0.8\nEOD"), std::string::npos) << script;
  EXPECT_NE(script.find("1 50 45 55\n10 70 65 75\nEOD"), std::string::npos) << script;
  EXPECT_EQ(count(script, "yerrorbars"), 1U);
  EXPECT_NE(script.find("title \"EE's\""), std::string::npos) << script;
}

TEST(Gnuplot, KeepsTextsFromBecomingCommands) {
  Plot plot = two_panels();
  plot.title = "\"; system('false') `false` \\";
  const test::TemporaryDirectory folder;
  write_svg(plot, folder / "plot.svg");
  EXPECT_NE(test::read_text(folder / "plot.svg").find("\"; system('false') `false` \\<"),
            std::string::npos);
  plot.title = "two\nlines";
  test::expect_error<DataError>([&] { (void)gnuplot_script(plot); }, {"two?lines", "control"});
}

TEST(Gnuplot, RefusesWhatCannotBeDrawn) {
  const auto refuses = [](auto change, std::initializer_list<std::string> texts) {
    Plot plot = two_panels();
    change(plot);
    test::expect_error<DataError>([&] { (void)gnuplot_script(plot); }, texts);
  };
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  refuses([](Plot& plot) { plot.panels.clear(); }, {"no panel"});
  refuses([](Plot& plot) { plot.panels[1].series.clear(); }, {"[plot bars]", "no point"});
  refuses([](Plot& plot) { plot.panels[0].series[0].points[0].x = 0; }, {"x is 0", "above 0"});
  refuses([](Plot& plot) { plot.panels[1].series[0].points[0].y = kInfinite; }, {"infinite"});
  refuses([](Plot& plot) { plot.panels[1].series[0].points[0].x = std::nan(""); }, {"no x"});
  refuses([](Plot& plot) { plot.panels[0].series[0].points[0].low = std::nan(""); }, {"half"});
}

TEST(Gnuplot, SaysInOneLineThatItIsAbsentOrFails) {
  const test::TemporaryDirectory folder;
  const std::string path = std::getenv("PATH");
  ASSERT_EQ(::setenv("PATH", folder.path().c_str(), 1), 0);
  test::expect_error<IoError>([&] { write_svg(two_panels(), folder / "plot.svg"); },
                              {"cannot run gnuplot", "gnuplot-nox"});
  ASSERT_EQ(::setenv("PATH", path.c_str(), 1), 0);
  Plot plot = two_panels();
  plot.panels[0].series[0].color = "no such colour";
  test::expect_error<IoError>([&] { write_svg(plot, folder / "plot.svg"); }, {"gnuplot failed: "});
  EXPECT_FALSE(std::filesystem::exists(folder / "plot.svg"));
}

}  // namespace
}  // namespace branchy
