// `branchy-experiments plot` as a user runs it.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/atomic_file.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

class PlotCommandTest : public ::testing::Test {
 protected:
  test::Outcome run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {BRANCHY_EXPERIMENTS, "plot"});
    arguments.insert(arguments.end(), {"--out", path("plot.svg")});
    return test::run_program(arguments, folder_ / "log");
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_ / name).string();
  }
  void write(const std::string& name, const std::string& text) const {
    write_file_atomically(folder_ / name, text);
  }
  /// Draws; every text is in the picture.
  void expect_drawn(const std::vector<std::string>& arguments,
                    const std::vector<std::string>& texts) {
    const test::Outcome outcome = run(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.error;
    const std::string svg = test::read_text(path("plot.svg"));
    for (const std::string& text : texts)
      EXPECT_NE(svg.find(text), std::string::npos) << text << " is not in\n" << svg;
  }
  void expect_refused(const std::vector<std::string>& arguments, int code,
                      const std::string& text) {
    test::expect_one_line(run(arguments), code, text);
    EXPECT_FALSE(std::filesystem::exists(path("plot.svg")));
  }

  test::TemporaryDirectory folder_;
};

/// What a report holds that the plot reads: two exits with two bins, one of them empty at exit 2.
nlohmann::json report() {
  const auto bin = [](double low, int samples, nlohmann::json confidence, nlohmann::json accuracy) {
    return nlohmann::json{{"low", low},
                          {"high", low + 0.5},
                          {"samples", samples},
                          {"confidence", std::move(confidence)},
                          {"accuracy", std::move(accuracy)}};
  };
  const nlohmann::json full{{"temperature", 1.0},
                            {"ece", 0.15},
                            {"bins", {bin(0.0, 40, 0.4, 0.3), bin(0.5, 60, 0.9, 0.7)}}};
  const nlohmann::json half{{"temperature", 1.25},
                            {"ece", 0.05},
                            {"bins", {bin(0.0, 0, nullptr, nullptr), bin(0.5, 100, 0.9, 0.85)}}};
  return {{"effects",
           {{{"part", "val"},
             {"samples", 100},
             {"exits",
              {{{"exit", 1}, {"before", full}, {"after", full}},
               {{"exit", 2}, {"before", full}, {"after", half}}}}}}}};
}

TEST_F(PlotCommandTest, DrawsReliabilityOfEveryExit) {
  write("report.json", report().dump());
  expect_drawn({"reliability", path("report.json")},
               {"Reliability on val (100 samples)", "exit 1, T = 1.000, ECE 15.00 % -> 15.00 %",
                "exit 2, T = 1.250, ECE 15.00 % -> 5.00 %", "before", "after", "share of samples",
                "confidence (%)"});
}

TEST_F(PlotCommandTest, RefusesReportsOfOthers) {
  write("report.json", report().dump());
  expect_refused({"reliability", path("report.json"), "--part", "test"}, 2, "the report has: val");
  write("other.json", "{\"effects\": 3}");
  expect_refused({"reliability", path("other.json")}, 1, "other.json is no report");
  write("torn.json", report().dump().substr(0, 40));
  expect_refused({"reliability", path("torn.json")}, 1, "torn.json is no report");
  expect_refused({"reliability", path("absent.json")}, 1, "absent.json");
}

TEST_F(PlotCommandTest, DrawsCurvesOfColumns) {
  write("table.csv",
        "policy,operations,accuracy,\"share, %\"\n"
        "entropy,1,50,10\nentropy,10,60,20\n\"max \"\"p\"\"\",1,52,n/a\r\n\"max "
        "\"\"p\"\"\",10,63,\n");
  expect_drawn({"curve", path("table.csv"), "--x", "operations", "--y", "accuracy", "--group",
                "policy", "--log-x", "--x-label", "operations (M)", "--title", "curves"},
               {"entropy", "max \"p\"", "operations (M)", "accuracy", "curves"});
  expect_drawn({"curve", path("table.csv"), "--x", "operations", "--y", "accuracy", "share, %"},
               {"accuracy", "share, %"});
}

TEST_F(PlotCommandTest, RefusesTablesThatItCannotDraw) {
  write("table.csv", "x,y,z\n0,1,word\n");
  expect_refused({"curve", path("table.csv"), "--x", "w", "--y", "y"}, 2, "only: x, y, z");
  expect_refused({"curve", path("table.csv"), "--x", "x", "--y", "z"}, 1, "holds 'word'");
  expect_refused({"curve", path("table.csv"), "--x", "x", "--y", "y", "--log-x"}, 1, "above 0");
  write("ragged.csv", "x,y\n1,2\n3\n");
  expect_refused({"curve", path("ragged.csv"), "--x", "x", "--y", "y"}, 1, "line 3 has 1 fields");
  write("quote.csv", "x,y\n1,\"2\n");
  expect_refused({"curve", path("quote.csv"), "--x", "x", "--y", "y"}, 1, "line 2 leaves a quote");
  write("empty.csv", "x,y\n");
  expect_refused({"curve", path("empty.csv"), "--x", "x", "--y", "y"}, 1, "no rows");
}

}  // namespace
}  // namespace branchy
