// The methods of Fig. 10 of Dong et al. on made-up confidences.
#include "experiments/latency_methods.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "core/rng.h"
#include "core/threads.h"

namespace branchy {
namespace {

constexpr double kMbit = 1e6, kLimit = 14.0;

/// Three exits; sure samples are mostly right, scores follow confidence.
AdaptInputs made_up_inputs(double sent_bytes) {
  Rng rng(5);
  AdaptInputs inputs;
  inputs.has_scores = true;
  inputs.table.num_exits = 3;
  for (int i = 0; i < 400; ++i) {
    const float ease = rng.uniform();
    for (int exit = 1; exit <= 3; ++exit) {
      const float confidence =
          std::min(1.0F, 0.3F + 0.5F * ease + 0.1F * static_cast<float>(exit) * rng.uniform());
      inputs.table.confidence.push_back(confidence);
      const float right = 0.4F + 0.4F * ease + 0.06F * static_cast<float>(exit);
      inputs.table.correct.push_back(rng.uniform() < right ? 1 : 0);
      if (exit < 3) inputs.table.scores.push_back(std::min(1.0F, 1.2F * confidence));
    }
    inputs.table.weight.push_back(1);
  }
  inputs.test_table = inputs.table;
  inputs.selection.costs = {.trunk = {3000, 5000, 9000}, .exit = {2000, 2000, 100}};
  inputs.latency.parts = part_times(inputs.selection.costs, 1e6);
  inputs.latency.sent_bytes = sent_bytes;
  return inputs;
}

MethodOptions options() {
  MethodOptions options;
  options.axes = {.lambdas = {0.0F, 0.4F, 0.6F, 0.7F, 0.8F, 0.9F, 1.0F},
                  .gammas = {0.0F, 0.5F, 0.8F, 1.0F}};
  options.static_lambda = {0.95F, 0.85F};
  options.static_gamma = {0.5F, 0.5F};
  options.adapt = {AdaptMethod::kSearch, AdaptMethod::kRegression};
  options.limit_ms = kLimit;
  options.bandwidths = {0.1 * kMbit, 0.3 * kMbit, 1 * kMbit, 3 * kMbit, 10 * kMbit};
  options.regression.steps = 300;
  return options;
}

std::map<std::string, std::vector<LatencyRow>> by_method(const std::vector<LatencyRow>& rows) {
  std::map<std::string, std::vector<LatencyRow>> methods;
  for (const LatencyRow& row : rows) methods[row.method].push_back(row);
  return methods;
}

TEST(LatencyMethods, AdaptiveOnesKeepTheLimitWhereStaticOnesBreakIt) {
  set_num_threads(1);
  const AdaptInputs inputs = made_up_inputs(2048);
  const auto rows = compare_methods(inputs, {}, options());
  const auto methods = by_method(rows);
  ASSERT_EQ(methods.size(), 3U + 3U * 2U) << "backbone, two static, three adaptive in two ways";
  for (const auto& [method, points] : methods) ASSERT_EQ(points.size(), 5U) << method;
  EXPECT_TRUE(limit_violations(rows, kLimit, 0.0, false).empty());
  EXPECT_TRUE(limit_violations(rows, kLimit, 0.03, true).empty());
  EXPECT_FALSE(limit_violations(rows, 1.0, 0.0, false).empty()) << "none keeps 1 ms";
  EXPECT_GT(methods.at("EE static").front().selection.latency_ms, kLimit);
  const LatencyRow& backbone = methods.at("backbone").front();
  EXPECT_NEAR(backbone.selection.latency_ms, 8.0 + 163.84, 1e-9);
  EXPECT_EQ(backbone.selection.sent_share, 1.0);
}

TEST(LatencyMethods, AnOracleIsNeverWorseThanTheSameExitsWithoutOne) {
  set_num_threads(1);
  const auto methods = by_method(compare_methods(made_up_inputs(2048), {}, options()));
  const auto& plain = methods.at("EE adaptive (search)");
  const auto& oracle = methods.at("EE+oracle adaptive (search)");
  for (std::size_t i = 0; i < plain.size(); ++i)
    EXPECT_GE(oracle[i].selection.accuracy, plain[i].selection.accuracy);
  for (std::size_t i = 1; i < plain.size(); ++i)
    EXPECT_GE(plain[i].selection.accuracy, plain[i - 1].selection.accuracy)
        << "more bandwidth, less accuracy";
}

TEST(LatencyMethods, ASmallerCodeIsTakenWhereItGainsAccuracy) {
  set_num_threads(1);
  const AdaptInputs inputs = made_up_inputs(2048);
  std::vector<std::unique_ptr<AdaptInputs>> pruned;
  pruned.push_back(std::make_unique<AdaptInputs>(made_up_inputs(256)));
  // The smaller code costs accuracy at the final exit alone.
  for (std::size_t i = 2; i < pruned[0]->table.correct.size(); i += 3 * 12)
    pruned[0]->table.correct[i] = 0;
  const auto methods = by_method(compare_methods(inputs, pruned, options()));
  const auto& plain = methods.at("EE adaptive (search)");
  const auto& chosen = methods.at("EE adaptive, encoder pruned (search)");
  for (std::size_t i = 0; i < plain.size(); ++i)
    EXPECT_GE(chosen[i].selection.accuracy, plain[i].selection.accuracy);
  EXPECT_NE(chosen.front().policy.find("256 bytes"), std::string::npos) << chosen.front().policy;
  EXPECT_NE(chosen.back().policy.find("2048 bytes"), std::string::npos) << chosen.back().policy;
  EXPECT_GT(chosen.front().selection.accuracy, plain.front().selection.accuracy);
}

TEST(LatencyReport, SaysWhichRowsBreakTheLimit) {
  set_num_threads(1);
  LatencyReport report{.limit_ms = kLimit, .facts = {{"device", "made up"}}, .rows = {}};
  report.rows = compare_methods(made_up_inputs(2048), {}, options());
  EXPECT_NE(report.text().find("171.84!"), std::string::npos) << report.text();
  EXPECT_NE(report.json().find("\"within_limit\": false"), std::string::npos);
  const std::string csv = report.csv();
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + std::ssize(report.rows));
}

}  // namespace
}  // namespace branchy
