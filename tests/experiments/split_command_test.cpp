// `branchy-experiments split`, `load` and `split-agreement` with real programs on a small network.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/threads.h"
#include "data/synth.h"
#include "experiments/lee_latency.h"
#include "tests/support/program.h"
#include "tests/support/small_model.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

class SplitCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    set_num_threads(1);
    folder_ = std::make_unique<test::TemporaryDirectory>();
    write_synth_dataset(*folder_ / "data",
                        {.num_train = 50, .num_test = 100, .seed = 3, .threads = 1});
    test::save(test::small_model(false), *folder_ / "model.safetensors");
    const test::Outcome exported = test::run_program(
        {BRANCHY, "export", model(), "--out", (*folder_ / "split").string()}, *folder_ / "log");
    ASSERT_EQ(exported.code, 0) << exported.error;
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string model() { return (*folder_ / "model.safetensors").string(); }
  static std::string data() { return "cifar10:" + (*folder_ / "data").string(); }
  static std::string split(const std::string& side) {
    return (*folder_ / "split" / (side + ".safetensors")).string();
  }
  static test::Outcome run(std::vector<std::string> words) {
    words.insert(words.begin(), BRANCHY_EXPERIMENTS);
    return test::run_program(words, *folder_ / "log");
  }
  static nlohmann::json json(const std::string& name) {
    return nlohmann::json::parse(test::read_text(*folder_ / name));
  }

  static inline std::unique_ptr<test::TemporaryDirectory> folder_;
};

TEST_F(SplitCommand, LeeTellsEdgeCloudAndOverallApart) {
  const test::Outcome outcome =
      run({"split", "lee", "--model", "MEM=" + model(), "--data", data(), "--threshold",
           "0.000001,0.5,1", "--exits", "1,2", "--limit", "70", "--edge-cpus", "0", "--cloud-cpus",
           "0", "--out", (*folder_ / "lee").string()});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto rows = json("lee/lee.json").at("rows");
  ASSERT_EQ(rows.size(), 6U);
  for (const auto& row : rows) {
    EXPECT_EQ(row.at("edge_samples").get<int>() + row.at("cloud_samples").get<int>(), 70) << row;
    EXPECT_EQ(row.at("degraded"), 0);
    EXPECT_GT(row.at("overall_latency_ms_per_sample"), 0.0);
  }
  EXPECT_EQ(rows[0].at("edge_samples"), 0) << "nothing is as sure as that";
  EXPECT_TRUE(rows[0].at("acc_exited_edge").is_null()) << "of nobody";
  EXPECT_TRUE(rows[0].at("edge_latency_ms").at("mean").is_null());
  EXPECT_EQ(rows[2].at("cloud_samples"), 0) << "an entropy below 1 leaves";
  EXPECT_GT(rows[4].at("edge_samples"), 0);
  EXPECT_NE(test::read_text(*folder_ / "lee" / "lee.csv").find("n/a"), std::string::npos);
  EXPECT_NE(test::read_text(*folder_ / "lee" / "lee.svg").find("<svg"), std::string::npos);
}

TEST_F(SplitCommand, LoadChecksAnswersAndCountsTheCloudsCpu) {
  const std::vector<std::string> words{"load",
                                       "--edge",
                                       split("edge"),
                                       "--cloud-model",
                                       split("cloud"),
                                       "--data",
                                       data(),
                                       "--record",
                                       "50",
                                       "--connections",
                                       "8",
                                       "--limit",
                                       "300",
                                       "--seconds",
                                       "60",
                                       "--features",
                                       (*folder_ / "features").string(),
                                       "--out",
                                       (*folder_ / "load.json").string()};
  const test::Outcome outcome = run(words);
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto load = json("load.json");
  EXPECT_EQ(load.at("load").at("right"), 300);
  EXPECT_GT(load.at("load").at("latency_ms").at("p99"), 0.0);
  // The recorded features serve again, and in an open loop; against another model they are wrong.
  const std::string features = (*folder_ / "features").string();
  const test::Outcome open = run({"load", "--features", features, "--cloud-model", split("cloud"),
                                  "--rate", "200", "--seconds", "0.5", "--connections", "4"});
  EXPECT_EQ(open.code, 0) << open.error;
  LoadedModel other = test::small_model(false);
  for (StateEntry& entry : other.network->state())
    if (entry.name.ends_with("fc.weight"))
      for (float& value : entry.variable->mutable_value().mutable_data()) value *= -1.0F;
  test::save(other, *folder_ / "other.safetensors");
  const test::Outcome exported =
      test::run_program({BRANCHY, "export", (*folder_ / "other.safetensors").string(), "--out",
                         (*folder_ / "other").string()},
                        *folder_ / "log");
  ASSERT_EQ(exported.code, 0) << exported.error;
  const test::Outcome wrong =
      run({"load", "--features", features, "--cloud-model",
           (*folder_ / "other" / "cloud.safetensors").string(), "--limit", "20"});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_NE(wrong.error.find("20 wrong"), std::string::npos) << wrong.error;
}

TEST_F(SplitCommand, AgreementHoldsAtBatchOneAndWithDynamicBatches) {
  const test::Outcome outcome =
      run({"split-agreement", model(), "--data", data(), "--policy", "max-probability:0.5",
           "--policy", "p-tar:0.6", "--edges", "2", "--in-flight", "8", "--out",
           (*folder_ / "agreement.json").string()});
  ASSERT_EQ(outcome.code, 0) << outcome.error << outcome.out;
  const auto results = json("agreement.json").at("results");
  ASSERT_EQ(results.size(), 4U);
  for (const auto& result : results) {
    EXPECT_EQ(result.at("differ"), 0) << result;
    EXPECT_GT(result.at("from_the_cloud"), 0) << result;
  }
  EXPECT_EQ(results[0].at("answers"), 100);
  EXPECT_EQ(results[1].at("answers"), 200);
  EXPECT_GT(results[1].at("mean_rows_of_a_batch"), 1.0);
}

TEST(LeeLatency, FollowsTheDefinitions) {
  const LeeLatencyRow row = lee_latency_row({{.ms = 2, .right = true},
                                             {.ms = 4, .right = false},
                                             {.ms = 10, .right = true, .from_cloud = true},
                                             {.ms = 20, .right = true, .from_cloud = true}},
                                            0.1);
  EXPECT_EQ(row.edge_samples, 2);
  EXPECT_EQ(row.cloud_samples, 2);
  EXPECT_DOUBLE_EQ(row.edge_accuracy, 0.5);
  EXPECT_DOUBLE_EQ(row.cloud_accuracy, 1.0);
  EXPECT_DOUBLE_EQ(row.overall_accuracy, 0.75);
  EXPECT_DOUBLE_EQ(row.edge.mean, 3);
  EXPECT_DOUBLE_EQ(row.cloud.mean, 15);
  EXPECT_DOUBLE_EQ(row.overall_ms, 25) << "100 ms for 4 samples";
  const LeeLatencyRow none = lee_latency_row({{.ms = 2, .right = true}}, 0.01);
  EXPECT_TRUE(std::isnan(none.cloud_accuracy));
  EXPECT_NE(lee_latency_text({none}).find("n/a"), std::string::npos);
}

}  // namespace
}  // namespace branchy
