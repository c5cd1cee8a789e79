// `branchy adapt` and `branchy plan` as a user runs them, on a small network and made-up logits.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/atomic_file.h"
#include "core/rng.h"
#include "infer/adapt_table.h"
#include "infer/layer_times.h"
#include "layers/model_file.h"
#include "layers/models/registry.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"
#include "train/logits_cache.h"

namespace branchy {
namespace {

class AdaptCommandTest : public ::testing::Test {
 protected:
  AdaptCommandTest() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    write_model("model", 1);
    write_cache("val", "val", path("model"), 300);
    write_cache("test", "test", path("model"), 200);
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_ / (name + ".safetensors")).string();
  }

  void write_model(const std::string& name, std::uint64_t seed) {
    Rng rng(seed);
    const auto network = make_network(
        {.name = "cnn9", .early_exits = 2, .options = {{"widths", "2,2,4"}, {"exit-after", "2,6"}}},
        rng);
    ModelInfo info;
    info.config = network->config();
    info.part = network->whole();
    info.std = {1, 1, 1};
    save_model(path(name), *network, info);
  }

  /// Logits that grow surer and better with depth.
  void write_cache(const std::string& name, const std::string& part, const std::string& model_file,
                   std::int64_t samples) {
    const LoadedModel model = load_model(model_file);
    LogitsCache cache;
    cache.network = "cnn9";
    cache.model_digest = model_digest(model);
    cache.costs = exit_costs(*model.network);
    cache.data = "made up";
    cache.part = part;
    Rng rng({1, static_cast<std::uint64_t>(samples)});
    for (std::int64_t i = 0; i < samples; ++i) {
      cache.labels.push_back(rng.below(10));
      cache.indices.push_back(i);
    }
    for (int exit = 1; exit <= 3; ++exit) {
      cache.logits.emplace_back(Shape{samples, 10});
      const auto data = cache.logits.back().mutable_data();
      for (float& logit : data) logit = rng.normal();
      for (std::int64_t i = 0; i < samples; ++i)
        data[static_cast<std::size_t>(i * 10 + cache.labels[static_cast<std::size_t>(i)])] +=
            static_cast<float>(exit) * 2.5F * rng.uniform();
    }
    save_logits(path(name), cache);
  }

  test::Outcome run(const std::vector<std::string>& arguments) {
    std::vector<std::string> command{BRANCHY};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return test::run_program(std::move(command), folder_ / "log");
  }
  void expect_failure(const std::vector<std::string>& arguments, int code,
                      const std::string& text) {
    test::expect_one_line(run(arguments), code, text);
  }

  [[nodiscard]] std::vector<std::string> adapt(const std::vector<std::string>& more) const {
    std::vector<std::string> command{"adapt",  path("val"), "--model",         path("model"),
                                     "--seed", "3",         "--feature-bytes", "512"};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  [[nodiscard]] std::vector<std::string> plan(const std::vector<std::string>& more) const {
    std::vector<std::string> command{"plan", path("model")};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }

  test::TemporaryDirectory folder_;
};

TEST_F(AdaptCommandTest, ReportsEveryMethodAndStoresTheTableThatTheEdgeReads) {
  const std::string out = path("adapted");
  const test::Outcome outcome =
      run(adapt({"--test", path("test"), "--limit-ms", "20", "--device-speed", "1e8", "--out", out,
                 "--json", "--csv", (folder_ / "report.csv").string()}));
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_TRUE(json.contains("commit"));
  ASSERT_EQ(json["rows"].size(), 3U * 13U);
  for (const auto& row : json["rows"])
    EXPECT_LE(row["selection"]["latency_ms"].get<double>(), 20.0) << row.dump();
  const LoadedModel model = load_model(out);
  const auto table = AdaptTable::from(model.info);
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(table->limit_ms(), 20.0);
  EXPECT_NE(table->at(1e5).policy, table->at(1e8).policy) << "the limit does not bite";
  EXPECT_EQ(model.info.records.at("adapt.select_on"), "val");
  EXPECT_EQ(model.info.records.at("adapt.method"), "interpolate");
  EXPECT_EQ(test::tensors_of(out), test::tensors_of(path("model")));
  const test::Outcome again = run(adapt({"--limit-ms", "20", "--device-speed", "1e8", "--out",
                                         path("again"), "--method", "regression"}));
  ASSERT_EQ(again.code, 0) << again.error;
  EXPECT_EQ(load_model(path("again")).info.records.at("adapt.method"), "regression");
}

TEST_F(AdaptCommandTest, SaysWhereNoSettingKeepsTheLimit) {
  const test::Outcome outcome =
      run(adapt({"--limit-ms", "0.001", "--bandwidths", "0.1,100", "--out", path("hopeless")}));
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.error.find("0.1 Mbit/s: no setting keeps 0.001 ms"), std::string::npos)
      << outcome.error;
  EXPECT_FALSE(AdaptTable::from(load_model(path("hopeless")).info)->at(1e5).feasible);
}

TEST_F(AdaptCommandTest, MeasuredTimesTakeThePlaceOfOperations) {
  LayerTimes times;
  times.network = "cnn9";
  times.early_exits = 2;
  times.trunk = {{1, 3.0}, {2, 4.0}};
  times.exits = {{1, 0.5}, {2, 0.5}};
  write_file_atomically(folder_ / "times.json", to_json(times));
  const std::string file = (folder_ / "times.json").string();
  const test::Outcome outcome = run(adapt({"--measured", file, "--lambdas", "0", "--json"}));
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_DOUBLE_EQ(json["rows"][0]["selection"]["latency_ms"].get<double>(), 3.5);
  expect_failure(adapt({"--measured", file, "--device-speed", "1e9"}), 2, "excludes");
  write_file_atomically(folder_ / "times.json", "{}");
  expect_failure(adapt({"--measured", file}), 1, "branchy-edge --measure");
}

TEST_F(AdaptCommandTest, AdaptRefusesBadInput) {
  for (const char* bandwidths : {"0", "-1", "nan", "inf", "1,,2", "1,x", ""})
    expect_failure(adapt({"--bandwidths", bandwidths}), 2, "bandwidth");
  for (const char* limit : {"0", "-1", "nan"})
    expect_failure(adapt({"--limit-ms", limit}), 2, "--limit-ms");
  for (const char* speed : {"0", "-1", "nan"})
    expect_failure(adapt({"--device-speed", speed}), 2, "device speed");
  expect_failure(adapt({"--feature-bytes", "-5"}), 2, "--feature-bytes");
  expect_failure(adapt({"--round-trip-ms", "nan"}), 2, "--round-trip-ms");
  expect_failure(adapt({"--lambdas", "0.5,1.5"}), 2, "1.5");
  expect_failure(adapt({"--method", "guess"}), 2, "--method");
  expect_failure(adapt({"--bandwidths", "1,20", "--method", "regression"}), 2, "regression");
  expect_failure(adapt({"--select-on", "test"}), 2, "part 'val', expected 'test'");
  expect_failure({"adapt", path("test"), "--model", path("model")}, 2, "--select-on");
  expect_failure({"adapt", path("model"), "--model", path("model")}, 1, "no logits cache");
  expect_failure({"adapt", path("none"), "--model", path("model")}, 1, "none.safetensors");
  write_model("other", 2);
  expect_failure({"adapt", path("val"), "--model", path("other")}, 1, "infer-all");
  write_cache("foreign", "test", path("other"), 50);
  expect_failure(adapt({"--test", path("foreign")}), 1, "foreign.safetensors");
}

TEST_F(AdaptCommandTest, PlanPrintsTheFrontAndTheFastestAccurateEnough) {
  const std::vector<std::string> sides{"--edge-speed", "2e8", "--cloud-speed",   "1e10",
                                       "--bandwidth",  "2",   "--round-trip-ms", "5"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), sides.begin(), sides.end());
    return plan(more);
  };
  const test::Outcome plain = run(with({"--json"}));
  ASSERT_EQ(plain.code, 0) << plain.error;
  EXPECT_TRUE(nlohmann::json::parse(plain.out)["best"]["accuracy"].is_null());
  const test::Outcome outcome =
      run(with({"--json", "--logits", path("val"), "--p-tar", "0.5,0.7,0.9", "--csv",
                (folder_ / "front.csv").string()}));
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto json = nlohmann::json::parse(outcome.out);
  ASSERT_GE(json["front"].size(), 2U);
  for (std::size_t i = 1; i < json["front"].size(); ++i) {
    EXPECT_GT(json["front"][i]["mean_ms"], json["front"][i - 1]["mean_ms"]);
    EXPECT_GT(json["front"][i]["accuracy"], json["front"][i - 1]["accuracy"]);
  }
  EXPECT_EQ(json["best"], json["front"][0]);
  const double accuracy = json["front"].back()["accuracy"];
  const test::Outcome accurate =
      run(with({"--json", "--logits", path("val"), "--p-tar", "0.5,0.7,0.9", "--min-accuracy",
                std::to_string(100 * accuracy - 0.001)}));
  ASSERT_EQ(accurate.code, 0) << accurate.error;
  EXPECT_EQ(nlohmann::json::parse(accurate.out)["best"], json["front"].back());
  EXPECT_EQ(run(with({"--exit-probabilities", "0.5,0.5", "--cut-bytes", "block2=100"})).code, 0);
}

TEST_F(AdaptCommandTest, PlanRefusesBadInput) {
  const auto with = [&](std::vector<std::string> more, const std::string& mbit = "1") {
    const std::vector<std::string> sides{"--edge-speed", "1e8",         "--cloud-speed",
                                         "1e10",         "--bandwidth", mbit};
    more.insert(more.begin(), sides.begin(), sides.end());
    return plan(more);
  };
  for (const char* bandwidth : {"0", "-1", "nan", "inf"})
    expect_failure(with({}, bandwidth), 2, "--bandwidth");
  expect_failure(plan({"--bandwidth", "1", "--edge-speed", "1e8"}), 2, "--cloud-times");
  expect_failure(plan({"--bandwidth", "1", "--edge-speed", "-1", "--cloud-speed", "1"}), 2,
                 "speed -1");
  expect_failure(with({"--edge-times", "x.json"}), 2, "--edge-times");
  expect_failure(with({"--round-trip-ms", "-1"}), 2, "--round-trip-ms");
  expect_failure(with({"--p-tar", "0.5"}), 2, "--logits");
  expect_failure(with({"--min-accuracy", "50"}), 2, "--logits");
  expect_failure(with({"--exit-probabilities", "0.5"}), 2, "2 early exits");
  expect_failure(with({"--exit-probabilities", "0.5,2"}), 2, "2");
  expect_failure(with({"--cut-bytes", "block2"}), 2, "BLOCK=BYTES");
  expect_failure(with({"--cut-bytes", "block2=-1"}), 2, "BLOCK=BYTES");
  expect_failure(with({"--cut-bytes", "layer7=1"}), 2, "block2");
  expect_failure(with({"--cut-bytes", "block9=1"}), 2, "last block");
  expect_failure(with({"--logits", path("val"), "--min-accuracy", "100"}), 2, "100 % accurate");
  write_model("other", 2);
  write_cache("foreign", "val", path("other"), 50);
  expect_failure(with({"--logits", path("foreign")}), 1, "infer-all");
}

}  // namespace
}  // namespace branchy
