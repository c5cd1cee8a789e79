// `branchy-experiments predictor-curve` on tiny synthetic data.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/synth.h"
#include "layers/model_file.h"
#include "layers/models/registry.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

class PredictorCurveTest : public ::testing::Test {
 protected:
  PredictorCurveTest() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    write_synth_dataset(folder_.path(), {.num_train = 200, .num_test = 40, .seed = 5});
    Rng rng(1);
    const auto network = make_network({.name = "cnn9",
                                       .classes = 10,
                                       .early_exits = kDefaultExits,
                                       .options = {{"widths", "4,4,8"}, {"exit-after", "2,4"}}},
                                      rng);
    save_model(folder_ / "model", *network,
               {.config = network->config(),
                .part = network->whole(),
                .class_names = {},
                .mean = {0.5F, 0.5F, 0.5F},
                .std = {0.25F, 0.25F, 0.25F},
                .val_count = 60,
                .val_seed = 1,
                .cut = "",
                .data_split = "",
                .data_transforms = "",
                .data_test_list = {}});
  }

  [[nodiscard]] std::string place(const std::string& name) const {
    return (folder_ / name).string();
  }

  test::Outcome run(const Words& flags) {
    Words command{BRANCHY_EXPERIMENTS,
                  "predictor-curve",
                  place("model"),
                  "--data",
                  "cifar10:" + folder_.path().string(),
                  "--kinds",
                  "feature,fc",
                  "--lambdas",
                  "0.11,0.12",
                  "--reference-lambdas",
                  "0.11,0.5",
                  "--views-train",
                  "1",
                  "--views-held-out",
                  "2",
                  "--epochs-train",
                  "1",
                  "--epochs-held-out",
                  "1",
                  "--work",
                  place("work"),
                  "--out",
                  place("out"),
                  "--threads",
                  "1"};
    command.insert(command.end(), flags.begin(), flags.end());
    return test::run_program(command, folder_ / "log");
  }

  test::TemporaryDirectory folder_;
};

TEST_F(PredictorCurveTest, WritesTheCurveAndGoesOnFromItsWork) {
  const test::Outcome first = run({});
  ASSERT_EQ(first.code, 0) << first.error;
  const json curve = json::parse(test::read_text(folder_ / "out/curve.json"));
  EXPECT_EQ(curve.begin().key(), "command");
  ASSERT_EQ(curve.at("predictors").size(), 8U) << "two kinds, two label sources, two thresholds";
  for (const json& point : curve["predictors"]) {
    EXPECT_EQ(point.at("test").at("samples"), 40);
    EXPECT_EQ(point.at("selection").at("samples"), point.at("labels") == "train" ? 60 : 12);
    EXPECT_LT(point["selection"].at("last_share_growth"), 0.02);
  }
  ASSERT_EQ(curve.at("references").size(), 2U);
  EXPECT_EQ(curve["references"][0].at("test").size(), 2U);
  EXPECT_EQ(curve["references"][0]["test"][0]["device_operations"],
            curve["predictors"][0]["test"]["without"]["device_operations"]);
  EXPECT_NE(test::read_text(folder_ / "out/curve.svg").find("<svg"), std::string::npos);
  EXPECT_NE(test::read_text(folder_ / "out/curve.csv").find("\nfc,held-out,0.12,"),
            std::string::npos);

  const auto kept = std::filesystem::last_write_time(folder_ / "work/fc-train-0.11.safetensors");
  const test::Outcome again = run({});
  ASSERT_EQ(again.code, 0) << again.error;
  EXPECT_EQ(std::filesystem::last_write_time(folder_ / "work/fc-train-0.11.safetensors"), kept);
  EXPECT_EQ(again.out, first.out);
}

TEST_F(PredictorCurveTest, RefusesOtherNetworksBesideIt) {
  const test::Outcome outcome = run({"--extra", "pruned"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.last_error_line().find("NAME=FILE"), std::string::npos) << outcome.error;
  EXPECT_EQ(run({"--extra", "pruned=" + place("absent")}).code, 1);
}

}  // namespace
}  // namespace branchy
