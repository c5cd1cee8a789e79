// `branchy quantize` and its consumers as a user runs them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "data/synth.h"
#include "infer/exit_runner.h"
#include "infer/model.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"
#include "tests/support/small_model.h"
#include "tests/support/temporary_directory.h"
#include "train/logits_cache.h"

namespace branchy {
namespace {

using nlohmann::json;
using test::Outcome;

class QuantizeCommandTest : public ::testing::Test {
 protected:
  // Trained and quantised once: a small network that has seen few images.
  static void SetUpTestSuite() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    folder_ = new test::TemporaryDirectory;
    write_synth_dataset(folder_->path(), {.num_train = 1500, .num_test = 200, .seed = 5});
    succeed({"train", "--data", data(), "--out", path("run"), "--net", "cnn9", "--exit-after",
             "3,block6", "--option", "widths=16,16,24", "--epochs", "4", "--batch", "32", "--val",
             "100", "--threads", "1"});
    quantized_ =
        succeed({"quantize", path("run"), "--data", data(), "--test", "--report",
                 path("report.json"), "--out", path("int8.safetensors"), "--threads", "1"});
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  static std::string path(const std::string& name) { return (*folder_ / name).string(); }
  static std::string data() { return "cifar10:" + folder_->path().string(); }
  static Outcome run(const std::vector<std::string>& arguments) {
    std::vector<std::string> command{BRANCHY};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return test::run_program(command, *folder_ / "log");
  }
  static Outcome succeed(const std::vector<std::string>& arguments) {
    Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    return outcome;
  }
  /// Refused in one line, and nothing written.
  static void expect_refused(const std::vector<std::string>& arguments, int code,
                             const std::string& text) {
    std::vector<std::string> command{"quantize"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    command.insert(command.end(), {"--data", data(), "--out", path("never")});
    test::expect_one_line(run(command), code, text);
    EXPECT_FALSE(std::filesystem::exists(path("never")));
  }

  static test::TemporaryDirectory* folder_;
  static Outcome quantized_;
};

test::TemporaryDirectory* QuantizeCommandTest::folder_ = nullptr;
Outcome QuantizeCommandTest::quantized_;

TEST_F(QuantizeCommandTest, ReportsTheCostAtEveryExit) {
  const json report = json::parse(test::read_text(path("report.json")));
  EXPECT_FALSE(report.at("commit").empty());
  EXPECT_GE(report.at("operations"), 6);
  EXPECT_EQ(report.at("fitted_on"), "val");
  EXPECT_EQ(report.at("fitted_images"), 100);
  ASSERT_EQ(report.at("effects").size(), 2U);
  EXPECT_EQ(report.at("effects").at(0).at("part"), "val");
  const json& effect = report.at("effects").at(1);
  EXPECT_EQ(effect.at("part"), "test");
  EXPECT_EQ(effect.at("samples"), 200);
  ASSERT_EQ(effect.at("exits").size(), 3U);
  for (const json& exit : effect.at("exits")) {
    EXPECT_NEAR(exit.at("accuracy_int8").get<double>(), exit.at("accuracy_float32").get<double>(),
                0.02);
    EXPECT_GT(exit.at("same_class"), 0.95);
  }
  EXPECT_GT(effect.at("exits").back().at("accuracy_float32"), 0.15);  // chance: 0.1
  for (const json& speed : report.at("speeds")) EXPECT_GT(speed.at("int8_ms"), 0.0);
  EXPECT_NE(quantized_.out.find("same class %"), std::string::npos) << quantized_.out;
}

TEST_F(QuantizeCommandTest, ConsumersComputeWhatWasReported) {
  const json effect = json::parse(test::read_text(path("report.json"))).at("effects").at(1);
  for (const auto& [model, key] :
       {std::pair{"run", "accuracy_float32"}, std::pair{"int8.safetensors", "accuracy_int8"}}) {
    const json eval = json::parse(succeed({"eval", path(model), "--data", data(), "--json"}).out);
    for (std::size_t exit = 0; exit < 3; ++exit)
      EXPECT_EQ(eval.at("acc_all").at(exit), effect.at("exits").at(exit).at(key))
          << model << ", exit " << exit + 1;
  }
}

TEST_F(QuantizeCommandTest, LogitsOfEitherAreNotTakenForTheOthers) {
  for (const char* model : {"run", "int8.safetensors"})
    succeed({"infer-all", path(model), "--data", data(), "--split", "val", "--out",
             path(std::string(model) + ".logits")});
  EXPECT_NE(load_logits(path("run.logits")).model_digest,
            load_logits(path("int8.safetensors.logits")).model_digest);
  test::expect_one_line(run({"calibrate", path("int8.safetensors"), "--logits", path("run.logits"),
                             "--out", path("never")}),
                        1, "infer-all");
}

// In one process with the same threads: edge and cloud file give the bits of the whole.
TEST_F(QuantizeCommandTest, ExportedPartsGiveTheBitsOfTheWhole) {
  succeed({"export", path("int8.safetensors"), "--out", path("split")});
  Rng rng(3);
  const Tensor images = test::random_tensor({3, 3, 32, 32}, rng, -2.0F, 2.0F);
  const auto logits = [](ExitRunner& runner) {
    std::vector<Tensor> all;
    while (runner.has_next()) all.push_back(runner.next_exit().logits);
    return all;
  };
  ExitRunner whole(load_served_model(path("int8.safetensors")).plan);
  whole.start(images);
  const auto expected = logits(whole);
  ExitRunner edge(load_served_model(path("split/edge.safetensors")).plan);
  edge.start(images);
  auto got = logits(edge);
  const ServedModel served = load_served_model(path("split/cloud.safetensors"));
  ExitRunner cloud(served.plan);
  cloud.start_after(served.cut_blocks, edge.feature());
  for (const Tensor& exit : logits(cloud)) got.push_back(exit);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t exit = 0; exit < got.size(); ++exit)
    EXPECT_TRUE(test::same_bits(got[exit], expected[exit])) << "exit " << exit + 1;
}

TEST_F(QuantizeCommandTest, CanBeQuantizedAgain) {
  succeed({"quantize", path("int8.safetensors"), "--data", data(), "--out", path("again"),
           "--threads", "1"});
  EXPECT_EQ(test::read_text(path("again")), test::read_text(path("int8.safetensors")));
  succeed({"quantize", path("int8.safetensors"), "--data", data(), "--fit-on", "train", "--images",
           "40", "--out", path("again"), "--threads", "1"});
  EXPECT_NE(test::read_text(path("again")), test::read_text(path("int8.safetensors")));
}

TEST_F(QuantizeCommandTest, RefusesWhatCannotBeQuantized) {
  succeed({"export", path("run"), "--out", path("sides")});
  expect_refused({path("sides/edge.safetensors")}, 2, "one side of a split");
  test::save(test::small_model(false), path("narrow"));
  expect_refused({path("narrow")}, 2, "neither a convolution");
  EXPECT_EQ(
      run({"quantize", path("run"), "--data", data(), "--fit-on", "test", "--out", path("never")})
          .code,
      2);
  expect_refused({path("none")}, 1, "none");
}

TEST_F(QuantizeCommandTest, ConsumersRefuseDamagedRanges) {
  LoadedModel model = load_model(path("int8.safetensors"));
  const std::string good = model.info.records.at("int8.ranges");
  const auto expect_line = [&](const std::string& ranges, const std::string& text) {
    model.info.records["int8.ranges"] = ranges;
    test::save(model, path("damaged"));
    test::expect_one_line(run({"eval", path("damaged"), "--data", data()}), 1, text);
    test::expect_error<DataError>([&] { (void)load_served_model(path("damaged")); }, {text});
  };
  expect_line(good + " block0", "expected block<N>.<I>");
  expect_line(good + " block77.0 0 1", "block77.0");
  expect_line(good.substr(0, good.rfind(' ')), "two bounds");
  expect_line("block1.0 0 nan", "'nan'");
  expect_line("block1.0 3 -3", "both sides of zero");
}

}  // namespace
}  // namespace branchy
