// Texts of policies: what they mean, that they are written back, what is refused and how.
#include "infer/policies/policy_text.h"

#include <gtest/gtest.h>

#include <string>

#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

constexpr std::int64_t kExits = 3;

TEST(PolicyText, IsWrittenBackByThePolicy) {
  for (const char* text :
       {"max-probability:0.9", "max-probability:0.9+0.85", "p-tar:0.8", "p-tar:0.8,active=2",
        "p-tar:0.8,active=none", "entropy:0.3", "entropy:0.3+0.1", "entropy:0.3,drop=0.95",
        "entropy:0.3,drop=0.95,active=1", "margin:0.5", "patience:2", "ensemble:0.9+0.1",
        "gate:0.5,w1=1+2+3+4+5,w2=-1+0.5+1e-05+0+7", "predictor:0.9,gamma=0.5",
        "predictor:0.9+0.85,gamma=0.5+0", "oracle:0.9", "fixed:2", "fixed:3"})
    EXPECT_EQ(parse_policy(text, kExits)->text(), text);
}

TEST(PolicyText, TakesOtherSpellings) {
  const auto canonical = [](const char* text) { return parse_policy(text, kExits)->text(); };
  EXPECT_EQ(canonical("max-probability:0.9,0.85"), "max-probability:0.9+0.85");
  EXPECT_EQ(canonical("max-probability:.9"), "max-probability:0.9");
  EXPECT_EQ(canonical("predictor:0.9,0.85,gamma=0.5"), "predictor:0.9+0.85,gamma=0.5");
  EXPECT_EQ(canonical("p-tar:0.8,active=2+1"), "p-tar:0.8");
  EXPECT_EQ(canonical("entropy:0.3,active=2,drop=1"), "entropy:0.3,drop=1,active=2");
  EXPECT_EQ(canonical("gate,w1=0+0+0+0+0,w2=0+0+0+0+0"), "gate:0.5,w1=0+0+0+0+0,w2=0+0+0+0+0");
}

TEST(PolicyText, EveryNameHasItsUsage) {
  for (const std::string& name : policy_names())
    EXPECT_NE(policy_usage().find(name), std::string::npos) << name;
  EXPECT_EQ(policy_names().size(), 10U);
}

struct BadText {
  std::string text, message;
};

class PolicyTextRefusals : public ::testing::TestWithParam<BadText> {};

TEST_P(PolicyTextRefusals, AreOneLineWithTheText) {
  const auto& [text, message] = GetParam();
  test::expect_error<ConfigError>([&] { static_cast<void>(parse_policy(text, kExits)); },
                                  {"[policy '", message});
}

INSTANTIATE_TEST_SUITE_P(
    Texts, PolicyTextRefusals,
    ::testing::Values(
        BadText{"", "max-probability, p-tar"}, BadText{"confidence:0.9", "no policy 'confidence'"},
        BadText{"0.9", "no policy '0.9'"}, BadText{"max-probability", "as in max-probability:0.9"},
        BadText{"max-probability:", "'' is no number"}, BadText{"max-probability:x", "'x'"},
        BadText{"max-probability:1.5", "1.5 is not a probability"},
        BadText{"max-probability:-0.1", "-0.1 is not a probability"},
        BadText{"max-probability:nan", "'nan' is no number"},
        BadText{"max-probability:inf", "'inf' is no number"},
        BadText{"max-probability:1e99", "'1e99' is no number"},
        BadText{"max-probability:0.9 ", "'0.9 ' is no number"},
        BadText{"max-probability:0.9+", "'' is no number"},
        BadText{"max-probability:0.9+0.8+0.7", "3 values for 2 early exits"},
        BadText{"max-probability:0.9,gamma=0.5", "no option 'gamma'"},
        BadText{"p-tar:0.8+0.9", "2 numbers, expected one"}, BadText{"p-tar:1.01", "1.01"},
        BadText{"p-tar:0.8,active=3", "'3', expected an integer from 1 to 2"},
        BadText{"p-tar:0.8,active=0", "'0'"}, BadText{"p-tar:0.8,active=1+1", "exit 1 twice"},
        BadText{"p-tar:0.8,active=", "''"}, BadText{"p-tar:0.8,active=1,active=2", "given twice"},
        BadText{"p-tar:0.8,active=1,2", "'2' is no KEY=VALUE"},
        BadText{"p-tar,active=1", "0 numbers"}, BadText{"entropy:0.5,drop=0.3", "above drop 0.3"},
        BadText{"entropy:0.5,drop=2", "drop is 2"}, BadText{"entropy:0.3,drop=0.9+1", "2 numbers"},
        BadText{"patience:0", "integer from 1 to 3"}, BadText{"patience:4", "integer from 1 to 3"},
        BadText{"patience:1.5", "'1.5'"}, BadText{"patience", "0 values"},
        BadText{"fixed:4", "integer from 1 to 3"}, BadText{"fixed:1+2", "2 values"},
        BadText{"predictor:0.9", "gamma"}, BadText{"predictor:0.9,gamma=1.1", "[gamma] 1.1"},
        BadText{"predictor:0.9,gamma=", "'' is no number"},
        BadText{"predictor:0.9,gamma=0.1+0.2+0.3", "[gamma] 3 values"},
        BadText{"gate:0.5", "policy.gate.1"}, BadText{"gate:0.5,w1=1+2+3+4+5", "w2 has 0 numbers"},
        BadText{"gate:0.5,w1=1+2+3+4,w2=1+2+3+4+5", "w1 has 4 numbers"},
        BadText{"gate:0.5,w1=0+0+0+0+0,w2=0+0+0+0+0,w3=0+0+0+0+0", "no option 'w3'"},
        BadText{"oracle:0.9\n:", "no number"}),
    [](const auto& test_case) { return std::to_string(test_case.index); });

}  // namespace
}  // namespace branchy
