// Cuts and sets of exits by shortest path against brute force that follows each sample.
#include "train/plan_front.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "infer/policies/max_probability.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"
#include "train/side_times.h"

namespace branchy {
namespace {

constexpr std::int64_t kClasses = 4;

SplitProblem random_problem(Rng& rng, std::int64_t num_exits) {
  SplitProblem problem;
  const std::int64_t blocks = num_exits + rng.below(5);
  const auto times = [&](float edge_slower) {
    const float cloud = rng.uniform(0.1F, 2.0F);
    return SideTimes{cloud * rng.uniform(0.8F, edge_slower), cloud};
  };
  for (std::int64_t i = 0; i < blocks; ++i) {
    problem.blocks.push_back(times(6.0F));
    problem.cut_bytes.push_back(rng.uniform(100.0F, 20000.0F));
  }
  for (std::int64_t exit = 1; exit < num_exits; ++exit)
    problem.exits.push_back({1 + rng.below(blocks), times(6.0F)});
  std::sort(problem.exits.begin(), problem.exits.end(),
            [](const auto& a, const auto& b) { return a.after_block < b.after_block; });
  problem.final_exit = times(6.0F);
  problem.bits_per_second = std::pow(10.0, rng.uniform(4.0F, 8.0F));
  problem.round_trip_ms = rng.uniform(0.0F, 3.0F);
  return problem;
}

LogitsCache random_logits(Rng& rng, std::int64_t num_exits, std::int64_t samples) {
  LogitsCache cache;
  for (std::int64_t exit = 0; exit < num_exits; ++exit) {
    cache.logits.emplace_back(Shape{samples, kClasses});
    for (float& logit : cache.logits.back().mutable_data()) logit = 2.0F * rng.normal();
    cache.costs.trunk.push_back(1);
    cache.costs.exit.push_back(1);
  }
  for (std::int64_t i = 0; i < samples; ++i) {
    cache.labels.push_back(rng.below(kClasses));
    cache.indices.push_back(i);
  }
  return cache;
}

struct Walked {
  double mean_ms = 0, accuracy = 0;
};

/// Each sample through a network cut after `cut` blocks: rule p_tar of Pacheco et al. 2021.
Walked walk(const SplitProblem& problem, const LogitsCache& cache, const std::vector<bool>& active,
            float p_tar, std::int64_t cut) {
  Walked mean;
  const std::int64_t blocks = std::ssize(problem.blocks);
  for (std::int64_t i = 0; i < cache.num_samples(); ++i) {
    double ms = 0;
    std::vector<Prediction> seen;
    const auto ask = [&](std::int64_t exit) {
      const auto logits = cache.logits[static_cast<std::size_t>(exit - 1)].data().subspan(
          static_cast<std::size_t>(i * kClasses), kClasses);
      seen.push_back(predict(exit, logits));
      return seen.back().confidence >= p_tar;
    };
    bool left = false;
    for (std::int64_t block = 1; block <= blocks && !left; ++block) {
      const bool in_cloud = block > cut;
      if (block == cut + 1)
        ms += 8 * problem.cut_bytes[static_cast<std::size_t>(cut)] / problem.bits_per_second * 1e3 +
              problem.round_trip_ms;
      const auto add = [&](const SideTimes& times) { ms += in_cloud ? times.cloud : times.edge; };
      add(problem.blocks[static_cast<std::size_t>(block - 1)]);
      for (std::size_t exit = 0; exit < problem.exits.size() && !left; ++exit) {
        if (problem.exits[exit].after_block != block || !active[exit]) continue;
        add(problem.exits[exit].ms);
        left = ask(static_cast<std::int64_t>(exit) + 1);
      }
      if (block == blocks && !left) {
        add(problem.final_exit);
        left = ask(cache.num_exits());
        if (!left) seen.push_back(most_confident(seen));
      }
    }
    mean.mean_ms += ms;
    if (seen.back().label == cache.labels[static_cast<std::size_t>(i)]) mean.accuracy += 1;
  }
  mean.mean_ms /= static_cast<double>(cache.num_samples());
  mean.accuracy /= static_cast<double>(cache.num_samples());
  return mean;
}

TEST(PlanFront, AgreesWithBruteForceOnRandomNetworks) {
  const float p_tars[] = {0.6F, 0.8F};
  int inner_cuts = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Rng rng(seed);
    const std::int64_t num_exits = 1 + rng.below(4);
    const SplitProblem problem = random_problem(rng, num_exits);
    const LogitsCache cache = random_logits(rng, num_exits, 40);
    const StoredExits exits(cache, {});
    const auto plans = plan_all(problem, exits, p_tars);
    const std::size_t sets = std::size_t{1} << static_cast<std::size_t>(num_exits - 1);
    ASSERT_EQ(plans.size(), 2 * sets - 1) << "seed " << seed;
    std::vector<Walked> all;
    for (const PlannedSplit& plan : plans) {
      double fastest = kCannotRun;
      for (std::int64_t cut = 0; cut <= std::ssize(problem.blocks); ++cut) {
        const Walked walked = walk(problem, cache, plan.active, plan.p_tar, cut);
        fastest = std::min(fastest, walked.mean_ms);
        all.push_back(walked);
        if (cut == plan.plan.cut) {
          EXPECT_NEAR(plan.plan.mean_ms, walked.mean_ms, 1e-9) << "seed " << seed;
          EXPECT_NEAR(*plan.accuracy, walked.accuracy, 1e-12) << "seed " << seed;
        }
      }
      EXPECT_NEAR(plan.plan.mean_ms, fastest, 1e-9) << "seed " << seed;
      if (plan.plan.cut > 0 && plan.plan.cut < std::ssize(problem.blocks)) ++inner_cuts;
    }
    // Every plan of the front is beaten by nothing, and everything is beaten or on it.
    const auto front = non_dominated(plans);
    for (const PlannedSplit& plan : front)
      for (const Walked& other : all)
        EXPECT_FALSE(other.mean_ms < plan.plan.mean_ms - 1e-9 && other.accuracy >= *plan.accuracy)
            << "seed " << seed;
    for (const Walked& other : all) {
      bool covered = false;
      for (const PlannedSplit& plan : front)
        covered = covered || (plan.plan.mean_ms <= other.mean_ms + 1e-9 &&
                              *plan.accuracy >= other.accuracy - 1e-12);
      EXPECT_TRUE(covered) << "seed " << seed;
    }
  }
  EXPECT_GT(inner_cuts, 20) << "too few instances where the cut lies within";
}

TEST(SplitPlan, FollowsTheLinkFromAllInTheCloudToAllOnTheEdge) {
  SplitProblem problem{
      .blocks = {{2, 1}, {2, 1}, {2, 1}}, .final_exit = {1, 0.5}, .cut_bytes = {3000, 1000, 100}};
  const ActiveSet none{.active = {}, .going_on = {1.0}};
  problem.bits_per_second = 1e9;
  EXPECT_EQ(shortest_split(problem, none).cut, 0);
  problem.bits_per_second = 1e6;  // 24, 8, 0.8 ms
  const SplitPlan middle = shortest_split(problem, none);
  EXPECT_EQ(middle.cut, 2);
  EXPECT_DOUBLE_EQ(middle.mean_ms, 4 + 0.8 + 1.5);
  problem.bits_per_second = 1e4;
  const SplitPlan edge = shortest_split(problem, none);
  EXPECT_EQ(edge.cut, 3);
  EXPECT_DOUBLE_EQ(edge.mean_ms, 7);
  EXPECT_EQ(edge.sent_share, 0);
}

TEST(SplitPlan, PartsThatASideCannotRunBoundTheCut) {
  SplitProblem problem{.blocks = {{2, 1}, {2, 1}, {kCannotRun, 1}},
                       .final_exit = {kCannotRun, 0.5},
                       .cut_bytes = {3000, 1000, 100},
                       .bits_per_second = 1e4};
  const ActiveSet none{.active = {}, .going_on = {1.0}};
  EXPECT_EQ(shortest_split(problem, none).cut, 2) << "though all on the edge would be faster";
  problem.blocks[2].cloud = kCannotRun;
  test::expect_error<ConfigError>([&] { (void)shortest_split(problem, none); }, {"no cut"});
}

TEST(SplitPlan, ProbabilitiesMultiplyAndAreChecked) {
  const std::vector<double> leaves{0.25, 0.5};
  EXPECT_EQ(route_active(leaves, {true, true}).going_on, (std::vector<double>{1, 0.75, 0.375}));
  EXPECT_EQ(route_active(leaves, {false, true}).going_on, (std::vector<double>{1, 1, 0.5}));
  test::expect_error<ConfigError>([&] { (void)route_active(leaves, {true}); }, {"2 exit prob"});
  const std::vector<double> absurd{1.5};
  test::expect_error<ConfigError>([&] { (void)route_active(absurd, {true}); }, {"1.5"});
}

TEST(SplitPlan, ImpossibleProblemsAreRefused) {
  const auto refused = [](const std::function<void(SplitProblem&)>& spoil,
                          const std::string& message) {
    SplitProblem problem{.blocks = {{2, 1}, {2, 1}},
                         .exits = {{1, {1, 1}}},
                         .final_exit = {1, 1},
                         .cut_bytes = {300, 100},
                         .bits_per_second = 1e6};
    EXPECT_NO_THROW(problem.validate());
    spoil(problem);
    test::expect_error<ConfigError>([&] { problem.validate(); }, {message});
  };
  for (const double bad : {0.0, -1.0, std::nan("")}) {
    refused([&](SplitProblem& p) { p.bits_per_second = bad; }, "bandwidth");
    if (bad == 0.0) continue;
    refused([&](SplitProblem& p) { p.blocks[0].edge = bad; }, "block time");
    refused([&](SplitProblem& p) { p.exits[0].ms.cloud = bad; }, "exit time");
    refused([&](SplitProblem& p) { p.round_trip_ms = bad; }, "round trip");
    refused([&](SplitProblem& p) { p.cut_bytes[1] = bad; }, "bytes");
  }
  refused([](SplitProblem& p) { p.exits[0].after_block = 3; }, "after block 3");
  refused([](SplitProblem& p) { p.exits[0].after_block = 0; }, "after block 0");
  refused([](SplitProblem& p) { p.cut_bytes.pop_back(); }, "1 sizes");
}

TEST(SideProfile, CountsBlocksLikeTheWholeNetwork) {
  Rng rng(1);
  const auto network = make_network({.name = "resnet44", .early_exits = 2}, rng);
  const SideProfile profile = side_profile(1e9, *network);
  ASSERT_EQ(profile.blocks.size(), network->blocks().size());
  double trunk = 0;
  for (const double ms : profile.blocks) trunk += ms;
  std::int64_t operations = 0;
  for (std::int64_t exit = 1; exit <= 3; ++exit)
    operations += total_cost(network->profile_trunk(exit)).ptflops;
  EXPECT_NEAR(trunk, static_cast<double>(operations) / 1e6, 1e-6);
  EXPECT_NEAR(profile.exits[0], 9.66, 0.005);  // Table V of Dong et al.
  for (const double bad : {0.0, -1.0, std::nan("")})
    test::expect_error<ConfigError>([&] { (void)side_profile(bad, *network); }, {"speed"});
}

TEST(SideProfile, MeasuredTimesAreOfThisNetworkAndMayLackParts) {
  Rng rng(1);
  const auto network = make_network({.name = "resnet44", .early_exits = 2}, rng);
  LayerTimes times;
  times.network = "resnet44";
  times.classes = 10;
  times.early_exits = 2;
  times.blocks = {{network->blocks()[1].name, 0.5}};
  times.exits = {{2, 0.25}};
  const SideProfile profile = side_profile(times, *network);
  EXPECT_EQ(profile.blocks[0], kCannotRun);
  EXPECT_EQ(profile.blocks[1], 0.5);
  EXPECT_EQ(profile.exits[1], 0.25);
  EXPECT_EQ(profile.exits[2], kCannotRun);
  LayerTimes other = times;
  other.classes = 100;
  test::expect_error<ConfigError>([&] { (void)side_profile(other, *network); }, {"100 classes"});
  other = times;
  other.blocks[0].name = "layer9";
  test::expect_error<ConfigError>([&] { (void)side_profile(other, *network); }, {"layer9"});
  other = times;
  other.exits[4] = 1;
  test::expect_error<ConfigError>([&] { (void)side_profile(other, *network); }, {"exit 4"});
}

}  // namespace
}  // namespace branchy
