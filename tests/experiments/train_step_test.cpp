// `branchy-experiments train-step` as a user runs it, with shell commands in the place of peers.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

class TrainStepTest : public ::testing::Test {
 protected:
  test::Outcome run(const std::string& peer) {
    return test::run_program(
        {BRANCHY_EXPERIMENTS, "train-step", "--net", "cnn9", "--exits", "0", "--batch", "2",
         "--steps", "1", "--rounds", "1", "--threads", "1", "--peer", peer, "--out", out()},
        folder_ / "log");
  }
  [[nodiscard]] std::string out() const { return (folder_ / "step.json").string(); }

  test::TemporaryDirectory folder_;
};

TEST_F(TrainStepTest, ComparesWithWhatAPeerPrints) {
  const test::Outcome outcome = run("shell=echo 'version 2.1: 1250.5 ms/step, 7 runs'");
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto json = nlohmann::json::parse(test::read_text(out()));
  EXPECT_EQ(json.at("network"), "cnn9");
  EXPECT_EQ(json.at("classes"), 10);
  EXPECT_EQ(json.at("early_exits"), 0);
  EXPECT_EQ(json.at("best_peer"), "shell");
  EXPECT_EQ(json.at("peers").at(0).at("median_ms_per_step"), 1250.5);
  EXPECT_EQ(json.at("speed_ratio"), 1250.5 / json.at("median_ms_per_step").get<double>());
}

TEST_F(TrainStepTest, RefusesPeersWithoutAFigure) {
  for (const char* text : {"ms/step 5", "fast", "none ms/step", "0 ms/step", "1.2.3 ms/step"})
    test::expect_one_line(run(std::string("echo '") + text + "'"), 1, "printed no figure");
  test::expect_one_line(run("false"), 1, "[peer] failed: false");
  test::expect_one_line(run("name="), 2, "expected NAME=COMMAND");
}

}  // namespace
}  // namespace branchy
