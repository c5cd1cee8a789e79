// Each policy's rule: inequality, ties, what is computed, what NaN does. DETAILS of the papers are
// in the policies' headers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/error.h"
#include "infer/policies/gate.h"
#include "infer/policies/policy_text.h"
#include "tests/infer/exit_views.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using test::SampleExits;
using test::Walk;
using test::walk;
using Exits = std::vector<std::int64_t>;

Walk walk_text(const std::string& text, SampleExits& exits, std::span<const float> scores = {}) {
  return walk(*parse_policy(text, std::ssize(exits.views())), exits, scores);
}

/// The text of a policy whose threshold is exactly `value`, or the next float above or below it.
std::string with(const std::string& name, float value) { return fmt::format("{}:{}", name, value); }
float above(float value) { return std::nextafter(value, 2.0F); }
float below(float value) { return std::nextafter(value, -1.0F); }

SampleExits three_exits() {
  SampleExits exits;
  exits.sure(4, 0.5).sure(5, 0.8).sure(6, 0.6);
  return exits;
}

/// Early exits with the same NaN, a sure final one.
SampleExits unsure_exits() {
  SampleExits exits;
  const float nan = std::nanf("");
  exits.logits({nan, 0, 0}).logits({0, nan, 0}).logits({0, 0, 9});
  return exits;
}

TEST(MaxProbabilityPolicy, LeavesAtEqualityAndTakesAllAtTheEnd) {
  SampleExits exits = three_exits();
  const float sure = exits[1].prediction.confidence;
  const Walk equal = walk_text(with("max-probability", sure), exits);
  EXPECT_EQ(equal.exit, 2);
  EXPECT_EQ(equal.decision.answer.label, 5);
  EXPECT_EQ(equal.computed, (Exits{1, 2}));
  const Walk last = walk_text(with("max-probability", above(sure)), exits);
  EXPECT_EQ(last.exit, 3);
  EXPECT_EQ(last.decision.answer.label, 6) << "the final exit's own class, though exit 2 is surer";
  EXPECT_EQ(walk_text("max-probability:0.4+1", exits).exit, 1);
  EXPECT_EQ(walk_text("max-probability:1+0.7", exits).exit, 2);
  EXPECT_EQ(walk_text("max-probability:0", exits).exit, 1);
}

TEST(PTarPolicy, FallsBackToTheMostConfidentComputedExit) {
  SampleExits exits = three_exits();
  const float sure = exits[1].prediction.confidence;
  EXPECT_EQ(walk_text(with("p-tar", sure), exits).exit, 2) << "equality leaves";
  const Walk fallback = walk_text(with("p-tar", above(sure)), exits);
  EXPECT_EQ(fallback.exit, 3);
  EXPECT_EQ(fallback.decision.verdict, Verdict::kExit);
  EXPECT_EQ(fallback.decision.answer.exit, 2);
  EXPECT_EQ(fallback.decision.answer.label, 5);
  const Walk without = walk_text(with("p-tar", above(sure)) + ",active=1", exits);
  EXPECT_EQ(without.computed, (Exits{1, 3}));
  EXPECT_EQ(without.decision.answer.exit, 3) << "a branch that is off is no fallback";
  const Walk none = walk_text("p-tar:0.1,active=none", exits);
  EXPECT_EQ(none.computed, (Exits{3}));
  EXPECT_EQ(none.exit, 3);
}

TEST(PTarPolicy, TheShallowestOfEquallyConfidentExitsIsTheFallback) {
  SampleExits exits;
  exits.sure(1, 0.4).sure(2, 0.6).sure(3, 0.6);
  EXPECT_EQ(walk_text("p-tar:0.9", exits).decision.answer.exit, 2);
  SampleExits nans;
  nans.logits({std::nanf(""), 0}).logits({1, 0}).logits({0, std::nanf("")});
  const Walk fallback = walk_text("p-tar:0.9", nans);
  EXPECT_EQ(fallback.exit, 3);
  EXPECT_EQ(fallback.decision.answer.exit, 2) << "an exit that is no number is no fallback";
}

TEST(EntropyPolicy, EqualityGoesOn) {
  SampleExits exits = three_exits();
  const float entropy = exits[1].entropy;
  EXPECT_EQ(walk_text(with("entropy", entropy), exits).exit, 3);
  EXPECT_EQ(walk_text(with("entropy", above(entropy)), exits).exit, 2);
  EXPECT_EQ(walk_text("entropy:0", exits).exit, 3);
  SampleExits certain;
  certain.logits({900, 0}).logits({0, 0});
  EXPECT_EQ(walk_text("entropy:0", certain).exit, 2) << "0 < 0 does not hold";
  const Walk only = walk_text(with("entropy", 1.0F) + ",active=2", exits);
  EXPECT_EQ(only.computed, (Exits{2}));
}

TEST(EntropyPolicy, DropsAboveTheLimitButNeverAtTheEnd) {
  SampleExits exits = three_exits();
  const float worst = exits[0].entropy;
  const Walk dropped = walk_text(fmt::format("entropy:0.1,drop={}", below(worst)), exits);
  EXPECT_EQ(dropped.exit, 1);
  EXPECT_EQ(dropped.decision.verdict, Verdict::kDrop);
  const Walk kept = walk_text(fmt::format("entropy:0.1,drop={}", worst), exits);
  EXPECT_EQ(kept.exit, 3) << "equality is not dropped";
  EXPECT_EQ(kept.decision.verdict, Verdict::kExit);
  const Walk end = walk_text("entropy:0.01,drop=0.02,active=none", exits);
  EXPECT_EQ(end.decision.verdict, Verdict::kExit);
}

TEST(MarginPolicy, LeavesAtEquality) {
  SampleExits exits = three_exits();
  const float margin = exits[1].margin;
  EXPECT_EQ(walk_text(with("margin", margin), exits).exit, 2);
  EXPECT_EQ(walk_text(with("margin", above(margin)), exits).exit, 3);
  EXPECT_EQ(walk_text("margin:0", exits).exit, 1);
}

TEST(PatiencePolicy, LeavesWhenEnoughExitsInARowAgree) {
  SampleExits exits;
  exits.sure(1, 0.4).sure(2, 0.4).sure(2, 0.3).sure(2, 0.2).sure(7, 0.9);
  EXPECT_EQ(walk_text("patience:1", exits).exit, 1);
  EXPECT_EQ(walk_text("patience:2", exits).exit, 3);
  EXPECT_EQ(walk_text("patience:3", exits).exit, 4);
  EXPECT_EQ(walk_text("patience:4", exits).exit, 5);
  EXPECT_EQ(walk_text("patience:4", exits).decision.answer.label, 7);
}

TEST(EnsemblePolicy, MultipliesTheProbabilitiesOfTheExitsSoFar) {
  SampleExits exits;
  exits.logits({std::log(6.0F), std::log(3.0F), 0});  // 0.6 0.3 0.1
  exits.logits({std::log(2.0F), std::log(7.0F), 0});  // 0.2 0.7 0.1
  exits.logits({0, 0, std::log(4.0F)});               // 1/6 1/6 2/3
  const Walk two = walk_text("ensemble:0.61", exits);
  EXPECT_EQ(two.exit, 2);
  EXPECT_EQ(two.decision.answer.label, 1);
  EXPECT_NEAR(two.decision.answer.confidence, 0.21 / 0.34, 1e-5);
  const Walk all = walk_text("ensemble:0.7", exits);
  EXPECT_EQ(all.exit, 3);
  EXPECT_EQ(all.decision.answer.exit, 3);
  EXPECT_EQ(all.decision.answer.label, 1) << "the product, though exit 3 says class 2";
  EXPECT_NEAR(all.decision.answer.confidence, 0.21 / 0.37, 1e-5);
  EXPECT_EQ(walk_text("ensemble:0.59", exits).exit, 1);
}

TEST(PredictorPolicy, ComputesAnExitFromItsGammaOn) {
  SampleExits exits = three_exits();
  const std::vector<float> scores{0.5F, 0.2F};
  EXPECT_EQ(walk_text("predictor:0.4,gamma=0.5", exits, scores).computed, (Exits{1}));
  const std::string skip = fmt::format("predictor:0.4,gamma={}+0.2", above(0.5F));
  const Walk skipped = walk_text(skip, exits, scores);
  EXPECT_EQ(skipped.computed, (Exits{2})) << "a skipped exit stops nobody";
  EXPECT_EQ(skipped.exit, 2);
  EXPECT_EQ(walk_text("predictor:0.4,gamma=1", exits, scores).computed, (Exits{3}));
  const std::vector<float> nan{std::nanf(""), std::nanf("")};
  EXPECT_EQ(walk_text("predictor:0.9,gamma=0+0.1", exits, nan).computed, (Exits{1, 3}))
      << "gamma 0 always computes, another never on a score that is no number";
  const auto policy = parse_policy("predictor:0.4,gamma=0.5", 3);
  EXPECT_TRUE(policy->needs_scores());
  test::expect_error<Error>([&] { static_cast<void>(walk(*policy, exits)); },
                            {"0 scores for 2 early exits"});
}

TEST(GatePolicy, LeavesWhereTheLogisticRegressionReachesItsThreshold) {
  SampleExits exits = three_exits();
  // Only the bias at exit 1; at exit 2 confidence against a bias of about -0.7.
  const Walk second = walk_text("gate:0.5,w1=0+0+0+0+-1,w2=1+0+0+0+-0.7", exits);
  EXPECT_EQ(second.exit, 2);
  EXPECT_EQ(walk_text("gate:0.5,w1=0+0+0+0+-1,w2=1+0+0+0+-0.9", exits).exit, 3);
  EXPECT_EQ(walk_text("gate,w1=0+0+0+0+0,w2=0+0+0+0+0", exits).exit, 1) << "0.5 >= 0.5";
  const auto features = gate_features(exits[1]);
  EXPECT_EQ(features[0], exits[1].prediction.confidence);
  EXPECT_EQ(features[1], exits[1].entropy);
  EXPECT_EQ(features[2], exits[1].margin);
  EXPECT_EQ(features[3], entropy_of_squares(exits[1].logits));
  double sum = 0.25;
  for (std::size_t i = 0; i < 4; ++i) sum += (static_cast<double>(i) - 1.5) * features[i];
  const double score = 1.0 / (1.0 + std::exp(-sum));
  const std::string weights = ",w1=0+0+0+0+-90,w2=-1.5+-0.5+0.5+1.5+0.25";
  EXPECT_EQ(walk_text(fmt::format("gate:{}{}", score - 1e-4, weights), exits).exit, 2);
  EXPECT_EQ(walk_text(fmt::format("gate:{}{}", score + 1e-4, weights), exits).exit, 3);
}

TEST(GatePolicy, ReadsTheWeightsThatWereRecorded) {
  PolicyRecords records;
  test::expect_error<ConfigError>([&] { static_cast<void>(parse_policy("gate", 3, records)); },
                                  {"policy.gate.1", "--fit-gate"});
  write_gate(records, 1, std::vector{0.0, 0.0, 0.0, 0.0}, -1.0);
  EXPECT_EQ(write_gate(records, 2, std::vector{1.0, 0.0, 0.0, 0.0}, -0.7), "1+0+0+0+-0.7");
  const auto policy = parse_policy("gate:0.5", 3, records);
  EXPECT_EQ(policy->text(), "gate:0.5");
  SampleExits exits = three_exits();
  EXPECT_EQ(walk(*policy, exits).exit, 2);
  records["policy.gate.2"] = "1+2";
  test::expect_error<ConfigError>([&] { static_cast<void>(parse_policy("gate", 3, records)); },
                                  {"policy.gate.2 has 2 numbers"});
}

TEST(OraclePolicy, ComputesOnlyTheExitThatWillAccept) {
  SampleExits exits = three_exits();
  const Walk second = walk_text("oracle:0.7", exits);
  EXPECT_EQ(second.computed, (Exits{2}));
  EXPECT_EQ(second.exit, 2);
  EXPECT_EQ(walk_text("oracle:0.9", exits).computed, (Exits{3}));
  EXPECT_EQ(walk_text("oracle:0.4", exits).computed, (Exits{1}));
  const auto policy = parse_policy("oracle:0.7", 3);
  EXPECT_TRUE(policy->looks_ahead());
  test::expect_error<Error>([&] { static_cast<void>(policy->computes(1, {.num_exits = 3})); },
                            {"stored logits"});
}

TEST(FixedPolicy, ComputesOneExitAndAnswersThere) {
  SampleExits exits = three_exits();
  for (const std::int64_t exit : {1, 2, 3}) {
    const Walk fixed = walk_text(fmt::format("fixed:{}", exit), exits);
    EXPECT_EQ(fixed.exit, exit);
    EXPECT_EQ(fixed.computed, (Exits{exit}));
  }
}

TEST(Policies, ANaNNeverLeavesEarly) {
  const std::vector<float> scores{1.0F, 1.0F};
  for (const char* text : {"max-probability:0", "p-tar:0", "entropy:1", "entropy:1,drop=1",
                           "margin:0", "patience:2", "patience:1", "ensemble:0",
                           "gate:0,w1=1+1+1+1+1,w2=0+0+0+0+0", "predictor:0,gamma=0", "oracle:0"}) {
    SampleExits exits = unsure_exits();
    EXPECT_EQ(walk_text(text, exits, scores).exit, 3) << text;
  }
}

TEST(Policies, AnswerOfANetworkWithoutEarlyExits) {
  for (const std::string& name : policy_names()) {
    std::string text = name + ":0.5";
    if (name == "patience" || name == "fixed") text = name + ":1";
    if (name == "predictor") text += ",gamma=0.5";
    SampleExits exits;
    exits.sure(3, 0.2);
    const Walk only = walk_text(text, exits);
    EXPECT_EQ(only.exit, 1) << text;
    EXPECT_EQ(only.decision.answer.label, 3) << text;
  }
}

}  // namespace
}  // namespace branchy
