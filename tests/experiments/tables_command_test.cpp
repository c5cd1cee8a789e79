// `branchy-experiments tables` as a user runs it.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;

class TablesCommandTest : public ::testing::Test {
 protected:
  /// Exit code; `out_` and `error_` are what was printed.
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {BRANCHY_EXPERIMENTS, "tables"});
    const auto log = folder_ / "log";
    test::ChildProcess child(std::move(arguments), log);
    const auto code = child.wait(120s);
    out_ = test::read_text(log.string() + ".out");
    error_ = test::read_text(log);
    return code.value_or(-1);
  }

  test::TemporaryDirectory folder_;
  std::string out_, error_;
};

TEST_F(TablesCommandTest, PrintsTheChosenTable) {
  EXPECT_EQ(run({"--table", "dong-VI"}), 0) << error_;
  EXPECT_NE(out_.find("14.4 = 14.4 (14401536)"), std::string::npos) << out_;
  EXPECT_NE(out_.find("6 cells equal, 0 misprints of the papers, 0 different"), std::string::npos);
  EXPECT_EQ(out_.find("dong-V:"), std::string::npos);
}

TEST_F(TablesCommandTest, FlagsMisprints) {
  EXPECT_EQ(run({"--table", "pacheco-1"}), 0) << error_;
  EXPECT_NE(out_.find("112x112x32 ~ 112x112x16"), std::string::npos) << out_;
  EXPECT_NE(out_.find("258 ~ 257"), std::string::npos) << out_;
}

TEST_F(TablesCommandTest, WritesJsonAndCsv) {
  const std::string file = (folder_ / "tables.csv").string();
  EXPECT_EQ(run({"--table", "dong-II", "--table", "lee-plans", "--json", "--out", file}), 0);
  const auto json = nlohmann::json::parse(out_);
  ASSERT_EQ(json.at("tables").size(), 2U);
  EXPECT_EQ(json["tables"][0]["cells"][0]["branchy"], "0.40");
  EXPECT_EQ(json["tables"][1]["cells"][0]["verdict"], "equal");
  EXPECT_TRUE(json.contains("commit"));
  const std::string csv = test::read_text(file);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 12 + 8);
  EXPECT_NE(csv.find("\"dong-II\",\"w/o Cat. & SE\",\"AlexNet\",\"printed\",\"10^6 ptflops\","
                     "\"0.29\",\"0.29\",\"286466\",\"equal\",\"\""),
            std::string::npos)
      << csv;
}

TEST_F(TablesCommandTest, RefusesUnknownTablesAndPlaces) {
  EXPECT_EQ(run({"--table", "dong-XII"}), 2);
  EXPECT_NE(error_.find("dong-XII"), std::string::npos);
  EXPECT_NE(error_.find("pacheco-places"), std::string::npos) << "lists the known ones";
  EXPECT_EQ(run({"--table", "dong-VI", "--out", (folder_ / "none/tables.csv").string()}), 1);
  EXPECT_EQ(run({"--frobnicate"}), 2);
}

}  // namespace
}  // namespace branchy
