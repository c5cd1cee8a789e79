// `branchy policy` as a user runs it, on caches of random logits and a network that never ran.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "core/rng.h"
#include "infer/policies/policy_record.h"
#include "layers/models/registry.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"
#include "tests/train/random_cache.h"

namespace branchy {
namespace {

using nlohmann::json;
using test::Outcome;

class PolicyCommandTest : public ::testing::Test {
 protected:
  PolicyCommandTest() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    save_network("model", 1);
    const std::string digest = model_digest(load_model(path("model")));
    save_cache("val", digest, 7, "val");
    save_cache("test", digest, 8, "test");
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_ / (name + ".safetensors")).string();
  }

  void save_network(const std::string& name, std::uint64_t seed) const {
    Rng rng(seed);
    ModelInfo info;
    info.config = {.name = "cnn9", .classes = 4, .early_exits = 2};
    info.config.options = {{"exit-after", "2,5"}};
    const auto network = make_network(info.config, rng);
    info.part = network->whole();
    info.mean = {0.5F, 0.5F, 0.5F};
    info.std = {0.5F, 0.5F, 0.5F};
    save_model(path(name), *network, info);
  }

  void save_cache(const std::string& name, const std::string& digest, std::uint64_t seed,
                  const std::string& part, const std::string& data = "cifar10:somewhere") const {
    LogitsCache cache = test::random_cache(seed, 2000, 1.2F);
    cache.model_digest = digest;
    cache.part = part;
    cache.data = data;
    save_logits(path(name), cache);
  }

  [[nodiscard]] Outcome run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {BRANCHY, "policy"});
    arguments.insert(arguments.end(), {"--threads", "1"});
    return test::run_program(std::move(arguments), folder_ / "log");
  }
  [[nodiscard]] json run_json(std::vector<std::string> arguments) {
    arguments.emplace_back("--json");
    const Outcome outcome = run(std::move(arguments));
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    return json::parse(outcome.out);
  }
  void expect_failure(std::vector<std::string> arguments, int code, const std::string& text) {
    test::expect_one_line(run(std::move(arguments)), code, text);
  }

  test::TemporaryDirectory folder_;
};

TEST_F(PolicyCommandTest, TableJsonAndCsvSayTheSame) {
  const std::vector<std::string> command{path("val"),  "--policy", "max-probability:0.9",
                                         "--policy",   "fixed:3",  "--report",
                                         path("json"), "--csv",    path("csv")};
  const Outcome table = run(command);
  ASSERT_EQ(table.code, 0) << table.error;
  const json result = json::parse(test::read_text(path("json")));
  EXPECT_TRUE(result.contains("commit"));
  EXPECT_EQ(result.at("part"), "val");
  EXPECT_TRUE(result.at("select_on").is_null());
  const json& policy = result.at("policies").at(0);
  EXPECT_EQ(policy.at("policy"), "max-probability:0.9");
  double share = 0.0;
  for (const json& exit : policy.at("exits")) share += exit.at("share").get<double>();
  EXPECT_NEAR(share, 1.0, 1e-12);
  EXPECT_NE(table.out.find(policy.at("policy").get<std::string>()), std::string::npos);
  const json& last = result.at("policies").at(1).at("exits").at(0);
  EXPECT_TRUE(last.at("acc_exited").is_null());  // nobody leaves at exit 1
  EXPECT_NE(table.out.find("n/a"), std::string::npos);

  std::istringstream csv(test::read_text(path("csv")));
  std::string header, row;
  std::getline(csv, header);
  std::getline(csv, row);
  EXPECT_EQ(std::count(header.begin(), header.end(), ','), std::count(row.begin(), row.end(), ','));
  EXPECT_TRUE(header.starts_with("policy,part,samples,pareto,accuracy,"));
  const std::string start = "\"max-probability:0.9\",val,2000,1,";
  ASSERT_TRUE(row.starts_with(start)) << row;
  EXPECT_EQ(std::stod(row.substr(start.size())), policy.at("accuracy").get<double>());
}

TEST_F(PolicyCommandTest, SweepsKeepTheParetoFront) {
  const std::string sweep = "max-probability:0.3..0.9/0.1+0.3|0.6|0.9";
  const json all = run_json({path("val"), "--sweep", sweep}).at("policies");
  ASSERT_EQ(all.size(), 21U);
  const json front = run_json({path("val"), "--sweep", sweep, "--pareto"}).at("policies");
  std::size_t marked = 0;
  for (const json& policy : all) {
    bool beaten = false;
    for (const json& other : all)
      beaten |= other.at("accuracy") >= policy.at("accuracy") &&
                other.at("mean_device_operations") < policy.at("mean_device_operations");
    if (policy.at("pareto").get<bool>()) {
      ++marked;
      EXPECT_FALSE(beaten) << policy.at("policy");
    }
  }
  EXPECT_EQ(front.size(), marked);
  EXPECT_LT(marked, all.size());
}

TEST_F(PolicyCommandTest, ChoosesByBudgetAndReportsTheTestSet) {
  const json result = run_json({path("val"), "--sweep", "max-probability:0.99..0.3/0.01",
                                "--choose", "budget=200", "--test", path("test")});
  EXPECT_EQ(result.at("select_on"), "val");
  const std::string chosen = result.at("chosen").at("policy");
  double best = 0.0;
  for (const json& policy : result.at("policies")) {
    if (policy.at("mean_device_operations") <= 200.0)
      best = std::max(best, policy.at("accuracy").get<double>());
    if (policy.at("policy") == chosen) {
      EXPECT_LE(policy.at("mean_device_operations"), 200.0);
    }
  }
  for (const json& policy : result.at("policies"))
    if (policy.at("policy") == chosen) {
      EXPECT_EQ(policy.at("accuracy"), best);
    }
  ASSERT_EQ(result.at("test").at("policies").size(), 1U);
  EXPECT_EQ(result.at("test").at("policies").at(0).at("policy"), chosen);
  EXPECT_EQ(result.at("test").at("part"), "test");
}

TEST_F(PolicyCommandTest, PromiseTravelsInTheModel) {
  const Outcome outcome =
      run({path("val"), path("model"), "--sweep", "max-probability:0.99..0.3/0.01", "--choose",
           "risk", "--epsilon", "0.02", "--delta", "0.1", "--out", path("chosen")});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const LoadedModel model = load_model(path("chosen"));
  const auto record = read_policy_record(model.info);
  ASSERT_TRUE(record);
  ASSERT_TRUE(record->promise);
  EXPECT_EQ(record->select_on, "val");
  EXPECT_EQ(record->promise->epsilon, 0.02);
  EXPECT_EQ(record->promise->samples, 2000);
  EXPECT_LE(record->promise->bound, 0.02);
  EXPECT_EQ(test::tensors_of(path("chosen")), test::tensors_of(path("model")));

  const json stored = run_json({path("test"), path("chosen"), "--policy", "stored"});
  EXPECT_EQ(stored.at("policies").at(0).at("policy"), record->text);
  LoadedModel calibrated = load_model(path("chosen"));
  calibrated.info.temperatures = {2.0F, 2.0F, 2.0F};
  save_model(path("calibrated"), *calibrated.network, calibrated.info);
  expect_failure({path("test"), path("calibrated"), "--policy", "stored"}, 2, "other temperatures");
}

TEST_F(PolicyCommandTest, LearnsAGateAndKeepsItApartFromItsProof) {
  const std::vector<std::string> fit{path("val"), path("model"), "--fit-gate", "--subset",
                                     "1/2",       "--out",       path("gated")};
  const Outcome outcome = run(fit);
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const std::vector<std::string> choose{path("val"),           path("gated"), "--sweep",
                                        "gate:0.99..0.5/0.01", "--choose",    "risk",
                                        "--epsilon",           "0.05",        "--subset"};
  auto other_half = choose;
  other_half.emplace_back("2/2");
  EXPECT_EQ(run_json(other_half).at("chosen").at("promise").at("samples"), 1000);
  for (const char* subset : {"1/2", "1/1", "1/4"}) {
    auto seen = choose;
    seen.emplace_back(subset);
    expect_failure(seen, 2, "fitted to samples 1/2");
  }
  expect_failure({path("val"), path("model"), "--policy", "gate:0.5"}, 2, "--fit-gate");

  // A gate that is fitted anew takes the policy along that was chosen for the old one.
  auto keep = other_half;
  keep.insert(keep.end(), {"--out", path("kept")});
  ASSERT_EQ(run(keep).code, 0);
  ASSERT_TRUE(read_policy_record(load_model(path("kept")).info));
  ASSERT_EQ(run({path("val"), path("kept"), "--fit-gate", "--gate-target", "cost", "--out",
                 path("refitted")})
                .code,
            0);
  EXPECT_FALSE(read_policy_record(load_model(path("refitted")).info));
}

TEST_F(PolicyCommandTest, TestDataChoosesOnlyWhenToldSo) {
  const std::vector<std::string> choose{path("test"), "--sweep", "entropy:0.1..0.5/0.1", "--choose",
                                        "best-accuracy"};
  expect_failure(choose, 2, "--select-on test");
  auto told = choose;
  told.insert(told.end(), {"--select-on", "test"});
  EXPECT_EQ(run_json(told).at("select_on"), "test");
  auto other = told;
  other[0] = path("val");
  expect_failure(other, 2, "--select-on val");
}

TEST_F(PolicyCommandTest, CachesOfOtherModelsAndDataAreRefused) {
  save_network("other", 2);
  expect_failure({path("val"), path("other"), "--policy", "fixed:1"}, 1, "infer-all");
  save_cache("foreign", "someone", 9, "test");
  expect_failure({path("val"), "--policy", "fixed:1", "--test", path("foreign")}, 1, "model");
  const std::string digest = model_digest(load_model(path("model")));
  save_cache("flowers", digest, 9, "test", "folder:flowers");
  expect_failure({path("val"), "--policy", "fixed:1", "--test", path("flowers")}, 1,
                 "folder:flowers");
  expect_failure({path("model"), "--policy", "fixed:1"}, 1, "no logits cache");
  expect_failure({path("absent"), "--policy", "fixed:1"}, 1, "absent");
  std::filesystem::resize_file(path("test"), 1000);
  expect_failure({path("test"), "--policy", "fixed:1"}, 1, "test.safetensors");
}

TEST_F(PolicyCommandTest, ScoresOfAnotherPredictorAreRefused) {
  LogitsCache cache = test::random_cache(3, 100);
  cache.model_digest = model_digest(load_model(path("model")));
  cache.scores = Tensor(Shape{100, 2});
  std::fill(cache.scores.mutable_data().begin(), cache.scores.mutable_data().end(), 0.7F);
  cache.costs.predictor = 5;
  cache.predictor_digest = "of somebody";
  save_logits(path("scored"), cache);
  const std::vector<std::string> command{path("scored"), "--policy", "predictor:0.9,gamma=0.8+0.5"};
  const json policy = run_json(command).at("policies").at(0);
  EXPECT_EQ(policy.at("exits").at(0).at("samples"), 0);  // never computed: 0.7 < 0.8
  EXPECT_EQ(policy.at("exits").at(1).at("mean_device_operations"), 5 + 100 + 200 + 20);
  auto with_model = command;
  with_model.insert(with_model.begin() + 1, path("model"));
  expect_failure(with_model, 1, "scores of predictor of somebody, this model's is none");
}

TEST_F(PolicyCommandTest, AbsurdFlagsAreRefused) {
  const std::vector<std::string> risk{path("val"), "--sweep", "max-probability:0.99..0.3/0.01",
                                      "--choose", "risk"};
  const auto with = [&](std::initializer_list<std::string> more) {
    auto command = risk;
    command.insert(command.end(), more);
    return command;
  };
  for (const char* epsilon : {"0", "1", "2", "-0.1", "nan"})
    expect_failure(with({"--epsilon=" + std::string(epsilon)}), 2, "epsilon");
  for (const char* delta : {"0", "1", "nan"})
    expect_failure(with({"--delta=" + std::string(delta)}), 2, "delta");
  expect_failure(with({"--epsilon", "0.00001"}), 2, "samples");
  expect_failure(with({"--subset", "3/2"}), 2, "3/2");
  expect_failure(with({"--subset", "2001/2001"}), 2, "empty");
  expect_failure(with({"--temperatures", "1,0,1"}), 2, "temperatures");
  expect_failure(with({"--temperatures", "1,1"}), 2, "2 values for 3 exits");
  expect_failure(with({"--temperatures", "model"}), 2, "MODEL");
  expect_failure(with({"--out", path("x")}), 2, "MODEL");
  expect_failure({path("val")}, 2, "--policy");
  expect_failure({path("val"), "--choose", "risk"}, 2, "--sweep");
  expect_failure({path("val"), "--sweep", "max-probability:"}, 2, "max-probability");
  expect_failure({path("val"), "--sweep", "max-probability:0..2/1"}, 2, "0 to 1");
  expect_failure({path("val"), "--sweep", "max-probability:0.1..0.5"}, 2, "LOW..HIGH/STEP");
  expect_failure({path("val"), "--policy", "predictor:0.9,gamma=0.5"}, 2, "scores");
  expect_failure({path("val"), "--policy", "fixed:1", "--choose", "budget=1"}, 2, "none of 1");
  expect_failure({path("val"), "--policy", "stored"}, 2, "MODEL");
  expect_failure({path("val"), path("model"), "--policy", "stored"}, 2, "holds none");
  expect_failure({path("val"), path("model"), "--temperatures", "2,2,2", "--policy", "fixed:1",
                  "--choose", "best-accuracy", "--out", path("x")},
                 2, "temperatures");
  EXPECT_FALSE(std::filesystem::exists(path("x")));
}

}  // namespace
}  // namespace branchy
