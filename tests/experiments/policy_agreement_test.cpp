// `branchy-experiments policy-agreement` as a user runs it, on a small model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/synth.h"
#include "tests/support/program.h"
#include "tests/support/small_model.h"
#include "tests/support/temporary_directory.h"
#include "train/logits_cache.h"

namespace branchy {
namespace {

using test::Outcome;

class PolicyAgreementTest : public ::testing::Test {
 protected:
  PolicyAgreementTest() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    write_synth_dataset(folder_.path(), {.num_train = 100, .num_test = 50, .seed = 5});
    test::save(test::small_model(true), folder_ / "model");
  }
  Outcome run(std::vector<std::string> arguments) {
    arguments.insert(
        arguments.begin() + 2,
        {path("model"), "--data", "cifar10:" + folder_.path().string(), "--threads", "1"});
    return test::run_program(std::move(arguments), folder_ / "log");
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_ / name).string();
  }

  test::TemporaryDirectory folder_;
};

TEST_F(PolicyAgreementTest, ExecutedPoliciesGiveTheSimulatedSamples) {
  ASSERT_EQ(run({BRANCHY, "infer-all", "--out", path("logits")}).code, 0);
  const Outcome outcome = run({BRANCHY_EXPERIMENTS, "policy-agreement", "--policy",
                               "max-probability:0.5", "predictor:0.5,gamma=0.5", "--batch", "1",
                               "16", "--logits", path("logits"), "--out", path("result.json")});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto json = nlohmann::json::parse(test::read_text(folder_ / "result.json"));
  ASSERT_EQ(json.at("results").size(), 4U);
  for (const auto& result : json.at("results")) {
    EXPECT_EQ(result.at("samples"), 50);
    EXPECT_EQ(result.at("agree"), 50);
  }
  EXPECT_TRUE(json.contains("commit"));
}

TEST_F(PolicyAgreementTest, TellsSamplesThatDiffer) {
  ASSERT_EQ(run({BRANCHY, "infer-all", "--out", path("logits")}).code, 0);
  LogitsCache cache = load_logits(folder_ / "logits");
  // Sample 7 is made to look sure of another class at exit 1.
  const auto row = cache.logits.front().mutable_data().subspan(70, 10);
  const auto largest = std::max_element(row.begin(), row.end()) - row.begin();
  row[static_cast<std::size_t>((largest + 1) % 10)] = 900.0F;
  save_logits(folder_ / "logits", cache);
  const Outcome outcome = run({BRANCHY_EXPERIMENTS, "policy-agreement", "--policy", "fixed:1",
                               "--batch", "10", "--logits", path("logits")});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.out.find("49 of 50 samples agree (0 differ in exit, 1 in class"),
            std::string::npos)
      << outcome.out;
  EXPECT_EQ(outcome.last_error_line().find("branchy-experiments: [policy-agreement] 1 executed"),
            0U)
      << outcome.error;
}

TEST_F(PolicyAgreementTest, RefusesOtherImagesModelsAndPolicies) {
  ASSERT_EQ(run({BRANCHY, "infer-all", "--split", "train", "--out", path("logits")}).code, 0);
  const auto refuse = [&](std::vector<std::string> more, int code, const std::string& text) {
    more.insert(more.begin(), {BRANCHY_EXPERIMENTS, "policy-agreement"});
    const Outcome outcome = run(std::move(more));
    EXPECT_EQ(outcome.code, code) << outcome.error;
    EXPECT_NE(outcome.last_error_line().find(text), std::string::npos) << outcome.error;
  };
  refuse({"--logits", path("logits")}, 1, "(train), expected those of");
  refuse({"--policy", "oracle:0.9"}, 2, "looks ahead");
  refuse({"--policy", "max-probability:2"}, 2, "max-probability:2");
  refuse({"--batch", "0"}, 2, "--batch");
}

}  // namespace
}  // namespace branchy
