// The comparison with peers: its cases, what it makes of figures, and the command with a shell
// script in the place of Python and Node.js.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "core/error.h"
#include "experiments/peer_cases.h"
#include "experiments/peer_row.h"
#include "experiments/step_program.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> names_of(const std::vector<PeerCase>& cases) {
  std::vector<std::string> names;
  for (const PeerCase& each : cases) names.push_back(each.name);
  return names;
}

TEST(PeerCases, AreChosenByNameAndByItsBeginning) {
  const auto cases = peer_cases(2);
  EXPECT_THAT(names_of(chosen_cases(cases, {"infer-resnet44-b1", "train-alexnet"})),
              ElementsAre("train-alexnet", "infer-resnet44-b1-t1", "infer-resnet44-b1-t2"));
  EXPECT_THAT(names_of(chosen_cases(cases, {"scaling", "scaling-resnet44"})),
              ElementsAre("scaling-resnet44", "scaling-mobilenet_v2"));
  EXPECT_EQ(chosen_cases(cases, {}).size(), cases.size());
  for (const char* name : {"infer-res", "train-", "", "inference"})
    EXPECT_THROW(static_cast<void>(chosen_cases(cases, {name})), ConfigError) << name;
}

TEST(PeerCases, HaveNamesOfTheirOwnAndGoalsBeyondWhatMustBe) {
  std::set<std::string> names;
  for (const PeerCase& each : peer_cases(2)) {
    EXPECT_TRUE(names.insert(each.name).second) << each.name;
    ASSERT_TRUE(each.must && each.goal) << each.name;
    if (each.quantity == PeerQuantity::kSpeed)
      EXPECT_LT(*each.must, *each.goal) << each.name;
    else
      EXPECT_GT(*each.must, *each.goal) << each.name;
  }
  EXPECT_EQ(names.size(), 23U);
}

TEST(PeerCases, MeasureInferenceOnOneThreadOnceWhereThatIsAll) {
  EXPECT_THAT(names_of(chosen_cases(peer_cases(1), {"infer-resnet44"})),
              ElementsAre("infer-resnet44-b1-t1", "infer-resnet44-b32-t1"));
}

PeerMeasurement measurement() {
  PeerMeasurement m{.setting = {.network = "resnet44"}, .programs = {}};
  m.programs.push_back({"branchy", "branchy", {10, 12, 11}, 300});
  m.programs.push_back({"pytorch-nchw", "PyTorch", {30, 36, 24}, 400});
  m.programs.push_back({"pytorch-channels_last", "PyTorch", {22, 12, 33}, 500});
  return m;
}

PeerRow row_of(PeerQuantity quantity, double must, double goal) {
  return peer_row({.name = "case", .setting = {}, .quantity = quantity, .must = must, .goal = goal},
                  measurement());
}

TEST(PeerRow, ComparesMediansWithTheFastestPeer) {
  const PeerRow row = row_of(PeerQuantity::kSpeed, 1.5, 2.5);
  EXPECT_EQ(row.peer, "pytorch-channels_last");
  EXPECT_DOUBLE_EQ(row.ratio, 2.0);
  EXPECT_DOUBLE_EQ(row.least_ratio, 1.0);
  EXPECT_DOUBLE_EQ(row.most_ratio, 3.0);
  EXPECT_EQ(row.reached, Reached::kMust);
}

TEST(PeerRow, ComparesMemoryWithThePeerThatTakesLeast) {
  const PeerRow row = row_of(PeerQuantity::kMemory, 0.8, 0.75);
  EXPECT_EQ(row.peer, "pytorch-nchw");
  EXPECT_DOUBLE_EQ(row.ratio, 0.75);
  EXPECT_EQ(row.reached, Reached::kGoal);
}

TEST(PeerRow, SaysWhatWasReached) {
  EXPECT_EQ(row_of(PeerQuantity::kSpeed, 1.5, 2.0).reached, Reached::kGoal);
  EXPECT_EQ(row_of(PeerQuantity::kSpeed, 2.1, 3.0).reached, Reached::kNothing);
  EXPECT_EQ(row_of(PeerQuantity::kMemory, 0.75, 0.5).reached, Reached::kMust);
  EXPECT_EQ(row_of(PeerQuantity::kMemory, 0.7, 0.5).reached, Reached::kNothing);
  const PeerRow unbound = peer_row({.name = "case", .setting = {}}, measurement());
  EXPECT_EQ(unbound.reached, Reached::kNoBounds);
  EXPECT_THAT(to_text(unbound), HasSubstr("n/a"));
}

TEST(PeerMeasurement, SeesThatTheMachineChanged) {
  PeerMeasurement m = measurement();
  m.before = {.gflops = 100, .gb_per_second = 20};
  m.after = {.gflops = 90, .gb_per_second = 15};
  EXPECT_DOUBLE_EQ(m.ceiling_drift(), 0.25);
}

class StepProgramTest : public ::testing::Test {
 protected:
  StepProgramOptions shell(const std::string& text) {
    return {.name = "peer", .command = {"sh", "-c", text}};
  }
  /// What a wrong program makes of the conversation.
  std::string error_of(const std::string& text) {
    try {
      StepProgram program(shell(text), folder_.path());
      static_cast<void>(program.median_ms(2));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  static constexpr const char* kFacts = R"(echo '{"program":"P 1","parameters":7,"macs":9}'; )";
  test::TemporaryDirectory folder_;
};

TEST_F(StepProgramTest, AsksForSteps) {
  StepProgram program(shell(std::string(kFacts) +
                            R"(while read n; do echo "{\"ms\":[3,$n,9],\"peak_mib\":5.5}"; done)"),
                      folder_.path());
  EXPECT_EQ(program.program(), "P 1");
  EXPECT_EQ(program.parameters(), 7);
  EXPECT_EQ(program.macs(), 9);
  EXPECT_EQ(program.median_ms(4), 4.0);
  EXPECT_EQ(program.median_ms(8), 8.0);
  EXPECT_EQ(program.peak_mib(), 5.5);
}

TEST_F(StepProgramTest, TellsWhatIsWrongWithTheOther) {
  EXPECT_THAT(error_of("echo 'no such module' >&2; exit 1"), HasSubstr("ended; the last line of "
                                                                       "its log: 'no such module"));
  EXPECT_THAT(error_of("echo hello; cat"), HasSubstr("said 'hello', expected a line of JSON"));
  EXPECT_THAT(error_of("echo '{}'; cat"), HasSubstr("expected \"program\""));
  EXPECT_THAT(error_of(std::string(kFacts) + "read n; echo '{}'"), HasSubstr("\"peak_mib\""));
  EXPECT_THAT(error_of(std::string(kFacts) + R"(read n; echo '{"ms":[],"peak_mib":1}')"),
              HasSubstr("expected times above 0"));
  EXPECT_THAT(error_of(std::string(kFacts) + R"(read n; echo '{"ms":["x"],"peak_mib":1}')"),
              HasSubstr("\"ms\""));
  EXPECT_THAT(error_of(std::string(kFacts) + "exit 3"), HasSubstr("ended"));
}

class PeersCommandTest : public ::testing::Test {
 protected:
  /// Runs the command with a peer that claims to have so many parameters.
  test::Outcome run(const std::string& peer_case, const std::string& parameters = "750702") {
    std::ofstream(peer()) << "#!/bin/sh\n"
                             "case $1 in *export*) echo '{}' >\"${3%.onnx}.json\"; exit;; esac\n"
                             "echo '{\"program\":\"P\",\"parameters\":"
                          << parameters
                          << ",\"macs\":111653504}'\n"
                             "while read n; do echo '{\"ms\":[1250.5],\"peak_mib\":64}'; done\n";
    std::filesystem::permissions(peer(), std::filesystem::perms::owner_all);
    return test::run_program({BRANCHY_EXPERIMENTS,
                              "peers",
                              "--case",
                              peer_case,
                              "--rounds",
                              "2",
                              "--seconds",
                              "0.001",
                              "--threads",
                              "1",
                              "--python",
                              peer(),
                              "--node",
                              peer(),
                              "--scripts",
                              std::string(BRANCHY_SOURCE_DIR) + "/experiments/peers",
                              "--work",
                              (folder_ / "work").string(),
                              "--out",
                              out()},
                             folder_ / "log");
  }
  [[nodiscard]] std::string peer() const { return (folder_ / "peer").string(); }
  [[nodiscard]] std::string out() const { return (folder_ / "peers.json").string(); }

  test::TemporaryDirectory folder_;
};

TEST_F(PeersCommandTest, ComparesInferenceWithAPeer) {
  const test::Outcome outcome = run("infer-resnet44-b1");
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.out, HasSubstr("1250.50 ms"));
  const auto json = nlohmann::json::parse(test::read_text(out()));
  const auto& row = json.at("cases").at(0);
  EXPECT_EQ(row.at("case"), "infer-resnet44-b1-t1");
  EXPECT_EQ(row.at("peer"), "onnxruntime");
  EXPECT_EQ(row.at("ratio"), 1250.5 / row.at("branchy").get<double>());
  EXPECT_EQ(row.at("reached"), "goal");
  const auto& programs = json.at("measurements").at(0).at("programs");
  EXPECT_EQ(programs.at(0).at("ms_per_step").size(), 2U);
  EXPECT_EQ(programs.at(1).at("peak_mib"), 64);
  EXPECT_GT(json.at("measurements").at(0).at("ceiling_before").at("gflops").get<double>(), 0.1);
}

TEST_F(PeersCommandTest, RefusesAnotherNetwork) {
  test::Outcome outcome = run("infer-resnet44-b1", "750701");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.last_error_line(), HasSubstr("expected the same network"));
}

TEST_F(PeersCommandTest, KnowsItsCases) {
  test::expect_one_line(run("infer-lenet"), 2, "expected one or the beginning of: train-resnet44");
}

}  // namespace
}  // namespace branchy
