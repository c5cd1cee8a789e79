#include "train/policy_selection.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

PolicyReport report(std::string policy, std::int64_t correct, double device, double total,
                    std::int64_t excess = 0) {
  PolicyReport result;
  result.policy = std::move(policy);
  result.samples = 1000;
  result.correct = correct;
  result.excess_errors = excess;
  result.device_operations = device;
  result.total_operations = total;
  return result;
}

TEST(PolicySelection, RulesAreReadFromText) {
  EXPECT_EQ(parse_selection_rule("best-accuracy").kind, SelectionRule::Kind::kBestAccuracy);
  EXPECT_EQ(parse_selection_rule("risk").kind, SelectionRule::Kind::kRisk);
  const SelectionRule budget = parse_selection_rule("budget=2.5e6");
  EXPECT_EQ(budget.kind, SelectionRule::Kind::kBudget);
  EXPECT_EQ(budget.budget, 2.5e6);
  for (const char* text : {"", "budget", "budget=", "budget=nan", "budget=inf", "budget=-1",
                           "budget=0", "budget=3x", "best"})
    test::expect_error<ConfigError>([&] { (void)parse_selection_rule(text); },
                                    {text, "best-accuracy"});
}

TEST(PolicySelection, BestAccuracyTakesTheCheapestOfEquals) {
  const std::vector<PolicyReport> reports{report("a", 900, 5, 9), report("b", 910, 6, 7),
                                          report("c", 910, 4, 8), report("d", 910, 4, 8)};
  SelectionRule rule{.kind = SelectionRule::Kind::kBestAccuracy};
  EXPECT_EQ(select_policy(reports, {}, rule).index, 2);
  rule.cost = OperationsOn::kTotal;
  EXPECT_EQ(select_policy(reports, {}, rule).index, 1);
}

TEST(PolicySelection, BudgetTakesTheMostAccurateWithin) {
  const std::vector<PolicyReport> reports{report("a", 900, 5, 9), report("b", 920, 6, 7),
                                          report("c", 910, 4, 8)};
  SelectionRule rule{.kind = SelectionRule::Kind::kBudget, .budget = 5.0};
  EXPECT_EQ(select_policy(reports, {}, rule).index, 2);
  rule.budget = 6.0;  // equality is within
  EXPECT_EQ(select_policy(reports, {}, rule).index, 1);
  rule.budget = 3.9;
  test::expect_error<ConfigError>([&] { (void)select_policy(reports, {}, rule); },
                                  {"none of 3", "the cheapest, c"});
}

TEST(PolicySelection, RiskTakesTheCheapestThatIsPromised) {
  const std::vector<PolicyReport> reports{report("a", 900, 9, 9, 0), report("b", 899, 5, 9, 3),
                                          report("c", 880, 3, 9, 40)};
  SelectionRule rule{.kind = SelectionRule::Kind::kRisk, .risk = {.epsilon = 0.01, .delta = 0.05}};
  const std::vector<std::int64_t> lengths{3};
  const Selection selection = select_policy(reports, lengths, rule);
  EXPECT_EQ(selection.index, 1);
  ASSERT_TRUE(selection.risk);
  EXPECT_LE(selection.risk->bound, 0.01);
  EXPECT_GT(selection.risk->bound, 0.003);

  rule.risk.epsilon = 0.001;  // 2995 samples are needed
  test::expect_error<ConfigError>([&] { (void)select_policy(reports, lengths, rule); },
                                  {"0.001", "1000 samples", "2995"});
}

TEST(PolicySelection, NothingCannotBeChosenFrom) {
  test::expect_error<ConfigError>([] { (void)select_policy({}, {}, {}); }, {"no policy"});
}

}  // namespace
}  // namespace branchy
