// `branchy calibrate` and its consumers as a user runs them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "data/synth.h"
#include "layers/model_file.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"
#include "train/logits_cache.h"

namespace branchy {
namespace {

using test::Outcome;

class CalibrateCommandTest : public ::testing::Test {
 protected:
  // Trained once: a small network that has seen few images, and what it says of others.
  static void SetUpTestSuite() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    folder_ = new test::TemporaryDirectory;
    write_synth_dataset(folder_->path(), {.num_train = 400, .num_test = 60, .seed = 5});
    succeed({"train", "--data", data(), "--out", path("run"), "--net", "cnn9", "--exit-after",
             "3,block6", "--option", "widths=4,8,8", "--epochs", "4", "--batch", "32", "--val",
             "100", "--threads", "1"});
    for (const char* part : {"val", "test"})
      succeed({"infer-all", path("run"), "--data", data(), "--split", part, "--out",
               path(std::string(part) + ".safetensors")});
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
  static void expect_refused(std::vector<std::string> arguments, int code,
                             const std::string& text) {
    arguments.insert(arguments.begin(), "calibrate");
    arguments.insert(arguments.end(), {"--out", path("never")});
    test::expect_one_line(run(arguments), code, text);
    EXPECT_FALSE(std::filesystem::exists(path("never")));
  }

  static test::TemporaryDirectory* folder_;
};

test::TemporaryDirectory* CalibrateCommandTest::folder_ = nullptr;

TEST_F(CalibrateCommandTest, StoresTheSameFromImagesAndFromTheirLogits) {
  succeed({"calibrate", path("run"), "--data", data(), "--test", "--report", path("a.json"),
           "--out", path("a")});
  const Outcome cached =
      succeed({"calibrate", path("run"), "--logits", path("val.safetensors"), "--test-logits",
               path("test.safetensors"), "--report", path("b.json"), "--out", path("b")});
  EXPECT_NE(cached.out.find("no class changed"), std::string::npos) << cached.out;
  EXPECT_EQ(test::read_text(path("a")), test::read_text(path("b")));
  const auto report = nlohmann::json::parse(test::read_text(path("b.json")));
  EXPECT_EQ(nlohmann::json::parse(test::read_text(path("a.json"))).at("effects"),
            report.at("effects"));
  EXPECT_FALSE(report.at("commit").empty());

  const LoadedModel model = load_model(path("b"));
  ASSERT_EQ(model.info.temperatures.size(), 3U);
  EXPECT_EQ(model.info.records.at("calibration.mode"), "all");
  EXPECT_EQ(model.info.records.at("calibration.samples"), "100,100,100");
  EXPECT_EQ(model.info.records.at("calibration.select_on"), "val");
  EXPECT_EQ(model.info.records.at("calibration.data_checksum"),
            load_logits(path("val.safetensors")).data_checksum);
  const auto& effects = report.at("effects");
  ASSERT_EQ(effects.size(), 2U);
  EXPECT_EQ(effects.at(0).at("part"), "val");
  EXPECT_EQ(effects.at(1).at("part"), "test");
  EXPECT_EQ(effects.at(1).at("samples"), 60);
  for (std::size_t exit = 0; exit < 3; ++exit) {
    const auto& fit = report.at("exits").at(exit);
    const auto& measures = effects.at(0).at("exits").at(exit);
    EXPECT_EQ(fit.at("temperature").get<float>(), model.info.temperatures[exit]);
    if (fit.at("status") == "fitted") {
      EXPECT_LT(measures.at("after").at("nll"), measures.at("before").at("nll"));
    }
    EXPECT_EQ(measures.at("after").at("accuracy"), measures.at("before").at("accuracy"));
  }
}

TEST_F(CalibrateCommandTest, ConsumersTakeTheTemperaturesAndTheSameClasses) {
  succeed({"calibrate", path("run"), "--logits", path("val.safetensors"), "--out", path("model")});
  const std::vector<float> temperatures = load_model(path("model")).info.temperatures;
  std::map<std::string, std::vector<nlohmann::json>> predictions;
  for (const char* model : {"run", "model"}) {
    const Outcome eval = succeed(
        {"eval", path(model), "--data", data(), "--predictions", path("predictions"), "--json"});
    EXPECT_EQ(nlohmann::json::parse(eval.out).contains("temperatures"),
              std::string(model) == "model");
    std::istringstream lines(test::read_text(path("predictions")));
    for (std::string line; std::getline(lines, line);)
      predictions[model].push_back(nlohmann::json::parse(line));
  }
  const LogitsCache cache = load_logits(path("test.safetensors"));
  ASSERT_EQ(predictions["model"].size(), 60U);
  for (std::size_t i = 0; i < 60; ++i) {
    EXPECT_EQ(predictions["run"][i].at("classes"), predictions["model"][i].at("classes"));
    for (std::size_t exit = 0; exit < 3; ++exit) {
      const auto row = cache.logits[exit].data().subspan(10 * i, 10);
      const double largest = *std::max_element(row.begin(), row.end());
      double sum = 0.0;
      for (const double logit : row) sum += std::exp((logit - largest) / temperatures[exit]);
      EXPECT_NEAR(predictions["model"][i].at("confidences").at(exit).get<double>(), 1.0 / sum,
                  1e-5);
    }
  }
  succeed({"export", path("model"), "--out", path("split")});
  for (const char* side : {"split/edge.safetensors", "split/cloud.safetensors"}) {
    const ModelInfo info = load_model(path(side)).info;
    EXPECT_EQ(info.temperatures, temperatures) << side;
    EXPECT_EQ(info.records.at("calibration.mode"), "all") << side;
  }
}

TEST_F(CalibrateCommandTest, CalibratesAgainInPlaceByEveryMode) {
  succeed({"calibrate", path("run"), "--logits", path("val.safetensors"), "--out", path("again")});
  succeed({"calibrate", path("again"), "--logits", path("val.safetensors"), "--mode", "one",
           "--out", path("again")});
  const ModelInfo one = load_model(path("again")).info;
  EXPECT_EQ(one.temperatures, std::vector<float>(3, one.temperatures[0]));
  EXPECT_EQ(one.records.at("calibration.samples"), "300,300,300");
  succeed({"calibrate", path("again"), "--logits", path("val.safetensors"), "--mode",
           "as-published", "--p-tar", "0.4", "--out", path("again")});
  EXPECT_EQ(load_model(path("again")).info.records.at("calibration.p_tar"), "0.4");
  succeed({"calibrate", path("again"), "--logits", path("test.safetensors"), "--select-on", "test",
           "--out", path("again")});
  const ModelInfo test = load_model(path("again")).info;
  EXPECT_EQ(test.records.at("calibration.select_on"), "test");
  EXPECT_FALSE(test.records.contains("calibration.p_tar"));
}

TEST_F(CalibrateCommandTest, RefusesWhatDoesNotFit) {
  const std::string val = path("val.safetensors");
  expect_refused({path("run")}, 2, "--data or --logits");
  expect_refused({path("run"), "--logits", val, "--data", data()}, 2, "excludes");
  expect_refused({path("run"), "--logits", path("test.safetensors")}, 2, "part test");
  expect_refused({path("run"), "--logits", val, "--test-logits", val}, 2, "part val");
  expect_refused({path("run"), "--logits", val, "--test"}, 2, "--test-logits");
  expect_refused({path("run"), "--logits", val, "--mode", "as-published"}, 2, "--p-tar 0");
  expect_refused({path("run"), "--logits", val, "--p-tar", "0.8"}, 2, "as-published");
  expect_refused({path("run"), "--logits", val, "--mode", "some"}, 2, "as-published");
  expect_refused({path("run"), "--logits", path("run") + "/best.safetensors"}, 1,
                 "no logits cache");

  LogitsCache cache = load_logits(val);
  cache.model_digest = std::string(64, '0');
  save_logits(path("other.safetensors"), cache);
  expect_refused({path("run"), "--logits", path("other.safetensors")}, 1, "model 000000000000");

  cache = load_logits(val);
  cache.labels.resize(1);
  cache.indices.resize(1);
  for (Tensor& logits : cache.logits) logits = Tensor::from(Shape{1, 10}, logits.data().first(10));
  save_logits(path("single.safetensors"), cache);
  expect_refused({path("run"), "--logits", path("single.safetensors")}, 1, "from 1 samples");

  succeed({"export", path("run"), "--out", path("sides")});
  expect_refused({path("sides/edge.safetensors"), "--logits", val}, 2, "one side of a split");
}

}  // namespace
}  // namespace branchy
