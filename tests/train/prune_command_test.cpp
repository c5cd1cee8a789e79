// `branchy prune` as a user runs it, and what the pruned file goes on to.
#include <gtest/gtest.h>

#include <cstdlib>
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

using test::expect_one_line;
using test::Outcome;
using Words = std::vector<std::string>;

class PruneCommandTest : public ::testing::Test {
 protected:
  PruneCommandTest() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    write_synth_dataset(folder_.path(), {.num_train = 100, .num_test = 40, .seed = 5});
    Rng rng(4);
    const auto network =
        make_network({.name = "cnn9", .early_exits = 2, .options = {{"exit-after", "2,5"}}}, rng);
    ModelInfo info;
    info.config = network->config();
    info.part = network->whole();
    info.mean = {0.5F, 0.5F, 0.5F};
    info.std = {0.25F, 0.25F, 0.25F};
    save_model(folder_ / "model.safetensors", *network, info);
    info.temperatures = {1.5F, 1.25F, 1.0F};
    info.records["policy.text"] = "entropy:0.3";
    Rng predictor_rng(5);
    const Attachments attachments{
        {"predictor", whole_attachment(make_network({.name = "exit_predictor",
                                                     .classes = 2,
                                                     .early_exits = 0,
                                                     .options = {{"kind", "fc"}}},
                                                    predictor_rng))}};
    save_model(folder_ / "calibrated.safetensors", *network, info, attachments);
  }

  [[nodiscard]] std::string place(const std::string& name) const {
    return (folder_ / name).string();
  }
  [[nodiscard]] std::string data() const { return "cifar10:" + folder_.path().string(); }
  Outcome run(Words arguments) {
    arguments.insert(arguments.begin(), BRANCHY);
    return test::run_program(std::move(arguments), folder_ / "log");
  }
  Outcome prune(const std::string& model, const std::string& ratio, const std::string& out) {
    return run({"prune", place(model), "--ratio", ratio, "--out", place(out), "--json"});
  }

  test::TemporaryDirectory folder_;
};

TEST_F(PruneCommandTest, WritesASmallerNetworkThatEvaluatesTrainsAndExports) {
  const Outcome pruned = prune("model.safetensors", "0.25", "pruned.safetensors");
  ASSERT_EQ(pruned.code, 0) << pruned.error;
  EXPECT_EQ(pruned.error, "") << "nothing was dropped";
  const auto json = nlohmann::json::parse(pruned.out);
  EXPECT_EQ(json["layers"][0]["conv"], "block1.conv1");
  EXPECT_EQ(json["layers"][0]["filters_after"], 12);
  EXPECT_LT(json["after"]["device_operations"], json["before"]["device_operations"]);
  EXPECT_EQ(json["after"]["feature_bytes"], 4 * 24 * 16 * 16);
  EXPECT_EQ(json["before"]["feature_bytes"], 4 * 32 * 16 * 16);
  EXPECT_NE(run({"prune", place("model.safetensors"), "--ratio", "0.25", "--out", place("again")})
                .out.find("on device"),
            std::string::npos);

  const Outcome eval =
      run({"eval", place("pruned.safetensors"), "--data", data(), "--threads", "1", "--json"});
  ASSERT_EQ(eval.code, 0) << eval.error;
  EXPECT_EQ(nlohmann::json::parse(eval.out)["acc_all"].size(), 3U);

  const Outcome tuned =
      run({"finetune", "--from", place("pruned.safetensors"), "--data", data(), "--out",
           place("tuned"), "--val", "20", "--batch", "20", "--threads", "1", "--epochs", "1"});
  ASSERT_EQ(tuned.code, 0) << tuned.error;
  const LoadedModel trained = load_model(folder_ / "tuned" / "best.safetensors");
  EXPECT_EQ(trained.info.config.options.at("filters").substr(0, 15), "block1.conv1:12");

  ASSERT_EQ(run({"export", place("tuned"), "--out", place("split")}).code, 0);
  const LoadedModel edge = load_model(folder_ / "split" / "edge.safetensors");
  const LoadedModel cloud = load_model(folder_ / "split" / "cloud.safetensors");
  EXPECT_EQ(edge.network->feature_shape(5), (Shape{1, 24, 16, 16}));
  EXPECT_EQ(cloud.network->feature_shape(5), (Shape{1, 24, 16, 16}));
}

TEST_F(PruneCommandTest, DropsWhatBelongsToTheOldWeightsAndSaysSo) {
  const Outcome pruned = prune("calibrated.safetensors", "0.1", "pruned.safetensors");
  ASSERT_EQ(pruned.code, 0);
  EXPECT_EQ(pruned.error,
            "dropped temperatures, predictor, 1 records: they belong to the network before "
            "pruning\n");
  const LoadedModel model = load_model(folder_ / "pruned.safetensors");
  EXPECT_TRUE(model.info.temperatures.empty());
  EXPECT_TRUE(model.info.records.empty());
  EXPECT_TRUE(model.attachments.empty());
}

TEST_F(PruneCommandTest, ARatioOfZeroKeepsEverything) {
  const Outcome pruned = prune("calibrated.safetensors", "0", "same.safetensors");
  ASSERT_EQ(pruned.code, 0) << pruned.error;
  EXPECT_EQ(test::tensors_of(folder_ / "same.safetensors"),
            test::tensors_of(folder_ / "calibrated.safetensors"));
  const LoadedModel model = load_model(folder_ / "same.safetensors");
  EXPECT_EQ(model.info.temperatures.size(), 3U);
  EXPECT_EQ(model.attachments.size(), 1U);
}

TEST_F(PruneCommandTest, RefusesBadRatiosAndModels) {
  for (const std::string ratio : {"1", "1.5", "-0.1", "nan"})
    expect_one_line(prune("model.safetensors", ratio, "never"), 2, "0 <= ratio < 1");
  expect_one_line(prune("model.safetensors", "ten", "never"), 2, "--ratio");
  expect_one_line(prune("absent.safetensors", "0.1", "never"), 1, "absent.safetensors");
  ASSERT_EQ(run({"export", place("model.safetensors"), "--out", place("split")}).code, 0);
  expect_one_line(prune("split/edge.safetensors", "0.1", "never"), 2, "one side of a split");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "never"));
}

}  // namespace
}  // namespace branchy
