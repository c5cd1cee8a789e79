// Policies on stored logits: the printed equations and example of Dong et al., and that the real
// runner does the same.
#include "train/policy_simulation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "infer/policies/policy_text.h"
#include "infer/policy_runner.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/expect_error.h"
#include "tests/train/stored_samples.h"

namespace branchy {
namespace {

using test::expect_error;

struct Means {
  double device = 0.0, total = 0.0;
};

Means means_of(const std::vector<SampleOutcome>& outcomes) {
  Means means;
  for (const SampleOutcome& outcome : outcomes) {
    means.device += static_cast<double>(outcome.device_operations);
    means.total += static_cast<double>(outcome.total_operations);
  }
  means.device /= static_cast<double>(outcomes.size());
  means.total /= static_cast<double>(outcomes.size());
  return means;
}

// Dong et al. 2022, section III: VGG16-BN, CIFAR-10, thresholds 0.99; 66.62, 19.81 and 13.57 % of
// the images leave at exits 1, 2 and on the server.
LogitsCache worked_example(const ExitCosts& costs) {
  const test::StoredAnswer sure{0, 0.995}, unsure{0, 0.6};
  std::vector<std::vector<test::StoredAnswer>> answers;
  for (int i = 0; i < 10000; ++i)
    answers.push_back({i < 6662 ? sure : unsure, i < 6662 + 1981 ? sure : unsure, unsure});
  return test::make_cache(answers, 10, costs);
}

TEST(PolicySimulation, GivesTheWorkedExampleByExactCounts) {
  Rng rng(1);
  const auto network = make_network({.name = "vgg16_bn", .early_exits = 2}, rng);
  const StoredExits stored(worked_example(exit_costs(*network)), {});
  const Means plain = means_of(simulate_policy(stored, *parse_policy("max-probability:0.99", 3)));
  EXPECT_NEAR(plain.device / 1e6, 42.43, 0.005);
  EXPECT_NEAR(plain.total / 1e6, 79.63, 0.005);
  const Means oracle = means_of(simulate_policy(stored, *parse_policy("oracle:0.99", 3)));
  EXPECT_NEAR(oracle.device / 1e6, 34.93, 0.005);
  EXPECT_NEAR(oracle.total / 1e6, 72.13, 0.005);
}

TEST(PolicySimulation, GivesTheWorkedExampleByTheTablesEntries) {
  // Table V, and of Table I's 333.08 what neither O_l1 nor O_l2 is.
  const ExitCosts printed{.trunk = {1970000, 56980000, 274130000}, .exit = {16700000, 14230000, 0}};
  const StoredExits stored(worked_example(printed), {});
  const Means plain = means_of(simulate_policy(stored, *parse_policy("max-probability:0.99", 3)));
  EXPECT_NEAR(plain.device / 1e6, 42.44, 0.005);
  EXPECT_NEAR(plain.total / 1e6, 79.64, 0.005);
  const Means oracle = means_of(simulate_policy(stored, *parse_policy("oracle:0.99", 3)));
  EXPECT_NEAR(oracle.device / 1e6, 34.93, 0.005);
  EXPECT_NEAR(oracle.total / 1e6, 72.13, 0.005);
}

/// A small network with random weights and a predictor, its logits stored and ready to run.
class ExecutedPolicies : public ::testing::Test {
 protected:
  static constexpr std::int64_t kSamples = 64, kExits = 4;

  static void SetUpTestSuite() {
    shared_ = std::make_unique<Shared>();
    Rng rng(5);
    shared_->images = test::random_tensor({kSamples, 3, 32, 32}, rng, -0.5F, 0.5F);
    const auto pixels = shared_->images.mutable_data();
    for (std::size_t plane = 0; plane < kSamples * 3; ++plane) {  // colours, else all look alike
      const float colour = rng.uniform(-2.0F, 2.0F);
      for (float& pixel : pixels.subspan(plane * 32 * 32, 32 * 32)) pixel += colour;
    }
    ModelInfo info;
    info.config = {.name = "cnn9",
                   .classes = 3,
                   .early_exits = kExits - 1,
                   .options = {{"widths", "4,6,6"}, {"exit-after", "1,4,6"}}};
    const auto network = test::lived_in_network(info.config);
    // Sharper scores than random weights give, which say almost the same of every sample.
    for (StateEntry& entry : network->state())
      if (entry.name.ends_with("fc.weight"))
        for (float& value : entry.variable->mutable_value().mutable_data()) value *= 8.0F;
    shared_->predictor = whole_attachment(test::lived_in_network(
        {.name = "exit_predictor", .classes = kExits - 1, .early_exits = 0}));
    shared_->info = info;
    shared_->plan = Plan::lower(*network, network->whole());
    LogitsCache cache;
    ExitRunner runner(shared_->plan);
    runner.start(shared_->images);
    while (runner.has_next()) cache.logits.push_back(runner.next_exit().logits);
    ExitScores scores(shared_->predictor, info);
    cache.scores = scores.scores(shared_->images);
    cache.costs = exit_costs(*network);
    cache.costs.predictor = scores.operations();
    cache.labels.assign(kSamples, 0);
    shared_->cache = cache;
    shared_->stored = std::make_unique<StoredExits>(cache, kTemperatures);
  }
  static void TearDownTestSuite() { shared_.reset(); }

  [[nodiscard]] static PolicyRunner runner() {
    return {shared_->plan,
            {.costs = shared_->cache.costs,
             .temperatures = kTemperatures,
             .scores = std::make_unique<ExitScores>(shared_->predictor, shared_->info)}};
  }

  /// The value of `score` that a share of the samples lies below, so that they go both ways.
  template <typename Score>
  [[nodiscard]] static float quantile(double share, const Score& score) {
    std::vector<float> values;
    for (std::int64_t i = 0; i < kSamples; ++i) values.push_back(score(i));
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(share * kSamples)];
  }
  [[nodiscard]] static const ExitView& view(std::int64_t exit, std::int64_t sample) {
    return shared_->stored->views(sample)[static_cast<std::size_t>(exit - 1)];
  }
  [[nodiscard]] static float middle_confidence(std::int64_t exit) {
    return quantile(0.5, [&](std::int64_t i) { return view(exit, i).prediction.confidence; });
  }
  [[nodiscard]] static float entropy(std::int64_t exit, double share) {
    return quantile(share, [&](std::int64_t i) { return view(exit, i).entropy; });
  }
  [[nodiscard]] static float middle_score(std::int64_t exit) {
    return quantile(0.5, [&](std::int64_t i) {
      return shared_->stored->scores(i)[static_cast<std::size_t>(exit - 1)];
    });
  }

  /// Lambda and gamma that split the samples at every exit.
  [[nodiscard]] static std::string lambdas() {
    return fmt::format("{}+{}+{}", middle_confidence(1), middle_confidence(2),
                       middle_confidence(3));
  }
  [[nodiscard]] static std::string gammas() {
    return fmt::format("{}+{}+{}", middle_score(1), middle_score(2), middle_score(3));
  }

  [[nodiscard]] static std::vector<std::string> policies() {
    return {
        "max-probability:" + lambdas(),
        fmt::format("p-tar:{}", middle_confidence(1)),
        fmt::format("p-tar:{},active=2+3", middle_confidence(2)),
        fmt::format("entropy:{}", entropy(1, 0.5)),
        fmt::format("entropy:{},drop={},active=1+3", entropy(1, 0.25), entropy(1, 0.75)),
        fmt::format("margin:{}", quantile(0.5, [](std::int64_t i) { return view(1, i).margin; })),
        "patience:2",
        "ensemble:" + lambdas(),
        fmt::format("gate:0.5,w1=1+0+0+0+{},w2=1+0+0+0+{},w3=0+1+1+1+-0.8", -middle_confidence(1),
                    -middle_confidence(2)),
        fmt::format("predictor:{},gamma={}", lambdas(), gammas()),
        "fixed:2",
        "fixed:4"};
  }

  struct Shared {
    Tensor images;
    ModelInfo info;
    Attachment predictor;
    std::shared_ptr<const Plan> plan;
    LogitsCache cache;
    std::unique_ptr<StoredExits> stored;
  };
  static inline const std::vector<float> kTemperatures{1.3F, 0.7F, 1.0F, 2.0F};
  static inline std::unique_ptr<Shared> shared_;
};

Tensor rows(const Tensor& batch, std::int64_t first, std::int64_t end) {
  const auto size = static_cast<std::size_t>(batch.size() / batch.dim(0));
  return Tensor::from(batch.shape().with_batch(end - first),
                      batch.data().subspan(static_cast<std::size_t>(first) * size,
                                           static_cast<std::size_t>(end - first) * size));
}

void expect_same(const SampleOutcome& executed, const SampleOutcome& simulated,
                 const std::string& what) {
  EXPECT_EQ(executed.exit, simulated.exit) << what;
  EXPECT_EQ(executed.answer.exit, simulated.answer.exit) << what;
  EXPECT_EQ(executed.answer.label, simulated.answer.label) << what;
  EXPECT_EQ(executed.dropped, simulated.dropped) << what;
  EXPECT_EQ(executed.computed, simulated.computed) << what;
  EXPECT_EQ(executed.device_operations, simulated.device_operations) << what;
  EXPECT_EQ(executed.total_operations, simulated.total_operations) << what;
  EXPECT_EQ(executed.bytes_sent, simulated.bytes_sent) << what;
}

TEST_F(ExecutedPolicies, TheSimulatedTableEqualsTheExecutedOneAtEveryBatchSize) {
  PolicyRunner executor = runner();
  for (const std::string& text : policies()) {
    const auto policy = parse_policy(text, kExits);
    const auto simulated = simulate_policy(*shared_->stored, *policy);
    for (const std::int64_t batch : {1, 3, 7, 64}) {
      for (std::int64_t first = 0; first < kSamples; first += batch) {
        const std::int64_t end = std::min(first + batch, kSamples);
        const auto executed = executor.run(rows(shared_->images, first, end), *policy);
        ASSERT_EQ(std::ssize(executed), end - first);
        for (std::size_t i = 0; i < executed.size(); ++i) {
          const auto sample = static_cast<std::size_t>(first) + i;
          expect_same(executed[i], simulated[sample],
                      fmt::format("{}, batch {}, sample {}", text, batch, sample));
        }
      }
    }
  }
}

// Without this the test above could compare samples that all take the same way.
TEST_F(ExecutedPolicies, ThePoliciesSendSamplesDifferentWays) {
  std::int64_t dropped = 0, skipped = 0, fallbacks = 0;
  for (const std::string& text : policies()) {
    std::vector<std::int64_t> leaving(kExits);
    for (const SampleOutcome& outcome :
         simulate_policy(*shared_->stored, *parse_policy(text, kExits))) {
      ++leaving[static_cast<std::size_t>(outcome.exit - 1)];
      dropped += outcome.dropped ? 1 : 0;
      fallbacks += outcome.answer.exit != outcome.exit ? 1 : 0;
      if (text.starts_with("predictor"))
        skipped += outcome.exit > 1 && !outcome.computes(1) ? 1 : 0;
    }
    if (text.starts_with("fixed")) continue;
    EXPECT_GE(std::count_if(leaving.begin(), leaving.end(), [](auto n) { return n > 3; }), 2)
        << text << ": " << fmt::format("{}", fmt::join(leaving, " "));
  }
  EXPECT_GT(dropped, 3);
  EXPECT_GT(skipped, 3);
  EXPECT_GT(fallbacks, 3);
}

// Eq. 3, as printed: (O_l1 + O_e1) + sum_{n=2}^{N-1} (O_ln + O_en) [c_i < lambda_i for all i < n].
double equation_3(const ExitCosts& costs, std::span<const ExitView> views,
                  const std::vector<double>& lambda) {
  auto sum = static_cast<double>(costs.trunk[0] + costs.exit[0]);
  for (std::size_t n = 1; n + 1 < views.size(); ++n) {
    bool below = true;
    for (std::size_t i = 0; i < n; ++i)
      below = below && static_cast<double>(views[i].prediction.confidence) < lambda[i];
    sum += static_cast<double>(costs.trunk[n] + costs.exit[n]) * (below ? 1 : 0);
  }
  return sum;
}

// Eq. 4: O_EP + O_l1 + O_e1 [s_1 >= g_1] + sum_{n=2}^{N-1} (O_ln + O_en [s_n >= g_n])
//        prod_{i<n} (1 - [s_i >= g_i] [c_i >= lambda_i]).
double equation_4(const ExitCosts& costs, std::span<const ExitView> views,
                  std::span<const float> scores, const std::vector<double>& lambda,
                  const std::vector<double>& gamma) {
  const auto wanted = [&](std::size_t n) {
    return static_cast<double>(scores[n]) >= gamma[n] ? 1.0 : 0.0;
  };
  double sum = static_cast<double>(costs.predictor + costs.trunk[0]) +
               static_cast<double>(costs.exit[0]) * wanted(0);
  for (std::size_t n = 1; n + 1 < views.size(); ++n) {
    double goes_on = 1.0;
    for (std::size_t i = 0; i < n; ++i) {
      const bool sure = static_cast<double>(views[i].prediction.confidence) >= lambda[i];
      goes_on *= 1.0 - wanted(i) * (sure ? 1.0 : 0.0);
    }
    sum += goes_on *
           (static_cast<double>(costs.trunk[n]) + static_cast<double>(costs.exit[n]) * wanted(n));
  }
  return sum;
}

TEST_F(ExecutedPolicies, OperationsAreThoseOfThePrintedEquations) {
  std::vector<double> lambda, gamma;
  for (std::int64_t exit = 1; exit < kExits; ++exit) {
    lambda.push_back(static_cast<double>(middle_confidence(exit)));
    gamma.push_back(static_cast<double>(middle_score(exit)));
  }
  PolicyRunner executor = runner();
  const ExitCosts& costs = shared_->cache.costs;
  const auto plain =
      executor.run(shared_->images, *parse_policy("max-probability:" + lambdas(), kExits));
  const auto aided = executor.run(
      shared_->images,
      *parse_policy(fmt::format("predictor:{},gamma={}", lambdas(), gammas()), kExits));
  for (std::int64_t i = 0; i < kSamples; ++i) {
    const auto views = shared_->stored->views(i);
    const auto index = static_cast<std::size_t>(i);
    EXPECT_EQ(static_cast<double>(plain[index].device_operations),
              equation_3(costs, views, lambda));
    EXPECT_EQ(static_cast<double>(aided[index].device_operations),
              equation_4(costs, views, shared_->stored->scores(i), lambda, gamma));
  }
}

TEST_F(ExecutedPolicies, OtherCostsAndOneSampleGiveTheSame) {
  const auto policy = parse_policy("max-probability:" + lambdas(), kExits);
  ExitCosts coded = shared_->cache.costs;
  coded.feature_bytes = 17;
  const auto outcomes = simulate_policy(*shared_->stored, *policy, coded);
  for (std::int64_t i = 0; i < kSamples; ++i) {
    const SampleOutcome& outcome = outcomes[static_cast<std::size_t>(i)];
    EXPECT_EQ(outcome.bytes_sent, outcome.exit == kExits ? 17 : 0);
    EXPECT_EQ(simulate_sample(*shared_->stored, i, *policy, coded), outcome);
  }
}

TEST(PolicySimulation, RefusesWhatDoesNotFit) {
  const ExitCosts costs{.trunk = {1, 1, 1}, .exit = {1, 1, 1}};
  const LogitsCache cache = test::make_cache({{{0, 0.5}, {0, 0.6}, {0, 0.7}}}, 10, costs);
  const StoredExits stored(cache, {});
  const auto simulate = [&](const std::string& text, const ExitCosts& given) {
    static_cast<void>(simulate_policy(stored, *parse_policy(text, 3), given));
  };
  expect_error<DataError>([&] { simulate("predictor:0.9,gamma=0.5", costs); },
                          {"needs the scores", "infer-all"});
  expect_error<ConfigError>(
      [&] {
        simulate("fixed:1", {.trunk = {1, 1}, .exit = {1, 1}});
      },
      {"costs of 2 exits for logits of 3"});
  const auto store = [&](std::vector<float> temperatures) {
    const StoredExits refused(cache, temperatures);
  };
  expect_error<ConfigError>([&] { store({1.0F}); }, {"1 values for 3 exits"});
  expect_error<ConfigError>([&] { store({1.0F, 0.0F, 1.0F}); }, {"0 is not positive"});
  expect_error<ConfigError>([&] { store({1.0F, std::nanf(""), 1.0F}); }, {"nan"});
}

}  // namespace
}  // namespace branchy
