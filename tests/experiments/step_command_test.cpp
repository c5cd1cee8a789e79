// `branchy-experiments train-step`, `infer-step` and `ceiling` as users and other programs run
// them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/child_program.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

constexpr std::chrono::seconds kPatience(60);

class StepCommandTest : public ::testing::Test {
 protected:
  [[nodiscard]] static std::vector<std::string> command(const std::string& verb,
                                                        std::vector<std::string> options) {
    std::vector<std::string> words{BRANCHY_EXPERIMENTS, verb, "--net",   "cnn9", "--exits", "0",
                                   "--threads",         "1",  "--batch", "2"};
    words.insert(words.end(), options.begin(), options.end());
    return words;
  }
  test::Outcome run(const std::string& verb, const std::vector<std::string>& options) {
    return test::run_program(command(verb, options), folder_ / "log");
  }
  ChildProgram converse(const std::string& verb) {
    return ChildProgram(
        {.command = command(verb, {"--on-request"}), .log = folder_ / "log", .converses = true});
  }

  test::TemporaryDirectory folder_;
};

TEST_F(StepCommandTest, WritesWhatItMeasured) {
  for (const char* verb : {"train-step", "infer-step"}) {
    const auto out = folder_ / "step.json";
    const test::Outcome outcome = run(verb, {"--steps", "3", "--out", out.string()});
    ASSERT_EQ(outcome.code, 0) << outcome.error;
    EXPECT_NE(outcome.out.find("ms/step"), std::string::npos) << outcome.out;
    const auto json = nlohmann::json::parse(test::read_text(out));
    EXPECT_EQ(json.at("network"), "cnn9");
    EXPECT_EQ(json.at("batch"), 2);
    EXPECT_EQ(json.at("ms_per_step").size(), 3U);
    EXPECT_GT(json.at("median_ms_per_step").get<double>(), 0.0);
    EXPECT_GT(json.at("peak_mib").get<double>(), 1.0);
    EXPECT_GT(json.at("macs").get<std::int64_t>(), 1000000);
    EXPECT_EQ(json.at("tensor_allocations_after_warm_up"), 0) << verb;
  }
}

TEST_F(StepCommandTest, InfersInEightBitsWhenAsked) {
  const auto out = folder_ / "step.json";
  const test::Outcome outcome =
      run("infer-step", {"--int8", "--steps", "3", "--out", out.string()});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("in 8 bits"), std::string::npos) << outcome.out;
  EXPECT_EQ(nlohmann::json::parse(test::read_text(out)).at("int8"), true);
}

TEST_F(StepCommandTest, SaysWhereTheTimeOfTrainingGoes) {
  const auto out = folder_ / "step.json";
  const test::Outcome outcome =
      run("train-step", {"--steps", "1", "--profile", "2", "--out", out.string()});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("convolution"), std::string::npos) << outcome.out;
  EXPECT_EQ(nlohmann::json::parse(test::read_text(out)).at("profile").at("steps"), 2);
}

TEST_F(StepCommandTest, DoesStepsOnRequest) {
  for (const char* verb : {"train-step", "infer-step"}) {
    ChildProgram program = converse(verb);
    const auto facts = program.hear(kPatience);
    ASSERT_TRUE(facts.has_value()) << program.log();
    EXPECT_EQ(nlohmann::json::parse(*facts).at("network"), "cnn9");
    for (const std::size_t count : {1U, 4U}) {
      program.say(std::to_string(count));
      const auto answer = program.hear(kPatience);
      ASSERT_TRUE(answer.has_value()) << program.log();
      EXPECT_EQ(nlohmann::json::parse(*answer).at("ms").size(), count);
    }
  }
}

TEST_F(StepCommandTest, RefusesRequestsThatAreNoNumberOfSteps) {
  for (const char* request : {"two", "0", "-1", "3 4", ""}) {
    ChildProgram program = converse("infer-step");
    ASSERT_TRUE(program.hear(kPatience).has_value()) << program.log();
    program.say(request);
    EXPECT_FALSE(program.hear(kPatience).has_value());
    EXPECT_EQ(program.wait(kPatience), 1);
    EXPECT_NE(program.log().find("expected a number of steps"), std::string::npos) << program.log();
  }
}

TEST_F(StepCommandTest, TellsTheCeiling) {
  const test::Outcome outcome =
      test::run_program({BRANCHY_EXPERIMENTS, "ceiling", "--threads", "1"}, folder_ / "log");
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("threads"), 1);
  EXPECT_GT(json.at("gflops").get<double>(), 0.1);
  EXPECT_GT(json.at("gb_per_second").get<double>(), 0.1);
}

}  // namespace
}  // namespace branchy
