// `branchy predictor train|eval` as a user runs them, on tiny synthetic data.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "core/safetensors.h"
#include "data/synth.h"
#include "infer/policies/policy_record.h"
#include "layers/model_file.h"
#include "tests/support/child_process.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::Outcome;
using test::tensors_of;
using Words = std::vector<std::string>;

/// CNN-9 with exits behind blocks 3 and 6, 320 training and 80 validation images.
class PredictorCommandTest : public ::testing::Test {
 protected:
  PredictorCommandTest() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    write_synth_dataset(folder_.path(), {.num_train = 400, .num_test = 50, .seed = 5});
    train_network("net", {"--exit-after", "3,6", "--max-steps", "12"});
  }

  [[nodiscard]] std::string place(const std::string& name) const {
    return (folder_ / name).string();
  }
  [[nodiscard]] std::string data() const { return "cifar10:" + folder_.path().string(); }
  [[nodiscard]] Metadata metadata(const std::string& name) const {
    return SafetensorsFile(folder_ / name).metadata();
  }

  Outcome run(Words arguments) {
    arguments.insert(arguments.begin(), BRANCHY);
    arguments.insert(arguments.end(), {"--threads", "1"});
    return test::run_program(std::move(arguments), folder_ / "log");
  }

  void train_network(const std::string& name, const Words& flags) {
    Words command{"train",  "--net",   "cnn9",  "--option",  "widths=4,4,8",
                  "--data", data(),    "--out", place(name), "--val",
                  "80",     "--batch", "32",    "--epochs",  "2"};
    command.insert(command.end(), flags.begin(), flags.end());
    const Outcome outcome = run(command);
    ASSERT_EQ(outcome.code, 0) << outcome.error;
  }

  [[nodiscard]] Words train(const Words& flags, const std::string& model = "net") const {
    Words command{"predictor", "train", place(model), "--data", data()};
    command.insert(command.end(), flags.begin(), flags.end());
    return command;
  }

  [[nodiscard]] Words eval(const std::string& model, const Words& flags = {}) const {
    Words command{"predictor", "eval", place(model), "--data", data()};
    command.insert(command.end(), flags.begin(), flags.end());
    return command;
  }

  json parsed(const Words& command) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    return outcome.code == 0 ? json::parse(outcome.out) : json();
  }

  void refused(const Words& command, int code, const std::string& text) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.code, code) << outcome.error;
    EXPECT_NE(outcome.last_error_line().find(text), std::string::npos) << outcome.error;
  }

  test::TemporaryDirectory folder_;
};

TEST_F(PredictorCommandTest, TrainsFromItsCacheAndJudges) {
  const Words flags{"--lambda", "0.14,0.16", "--labels", "held-out",    "--views",
                    "2",        "--epochs",  "2",        "--batch",     "32",
                    "--kind",   "feature",   "--cache",  place("cache")};
  const auto with_out = [&](const std::string& name) {
    Words words = flags;
    words.insert(words.end(), {"--out", place(name), "--json"});
    return train(words);
  };
  const json first = parsed(with_out("a"));
  EXPECT_EQ(first.at("losses").size(), 2U);
  EXPECT_EQ(first.at("selection"), "16 of seed 1");
  EXPECT_EQ(first.begin().key(), "command");
  const Metadata records = metadata("a");
  EXPECT_EQ(records.at("predictor.network"), "exit_predictor");
  EXPECT_EQ(records.at("predictor.kind"), "feature");
  EXPECT_EQ(records.at("predictor.labels"), "held-out");
  EXPECT_EQ(records.at("predictor.thresholds"), "0.14,0.16");
  EXPECT_EQ(records.at("predictor.reads_after"), "3");
  EXPECT_EQ(records.at("predictor.device_digest").size(), 64U);
  EXPECT_FALSE(records.contains("predictor.gamma"));
  static_cast<void>(parsed(with_out("b")));
  EXPECT_EQ(tensors_of(folder_ / "a"), tensors_of(folder_ / "b")) << "from the cache";

  const json judged = parsed(eval("a", {"--json", "--out", place("c")}));
  ASSERT_EQ(judged.at("gamma").size(), 2U);
  ASSERT_EQ(judged.at("sets").size(), 2U);
  EXPECT_EQ(judged["sets"][0].at("samples"), 16);
  EXPECT_EQ(judged["sets"][1].at("samples"), 50);
  EXPECT_LT(judged["sets"][0].at("last_share_growth"), 0.02);
  EXPECT_EQ(judged["sets"][1].at("exits").size(), 2U);
  EXPECT_LE(judged["sets"][1].at("oracle").at("device_operations"),
            judged["sets"][1].at("without").at("device_operations"));
  const Metadata chosen = metadata("c");
  EXPECT_EQ(chosen.at("predictor.selected_on"), "val");
  EXPECT_EQ(chosen.at("policy.text"), judged["sets"][0].at("with").at("policy"));
  EXPECT_EQ(read_policy_record(load_model(folder_ / "c").info)->select_on, "val");
  EXPECT_EQ(tensors_of(folder_ / "c"), tensors_of(folder_ / "a"));
  refused(eval("a", {"--max-growth", "0"}), 2, "--max-growth 0");

  // Given gamma 0 computes every exit: the plain policy and the predictor's own operations.
  const json given = parsed(eval("c", {"--json", "--gamma", "0", "--lambda", "0.14,0.16"}));
  ASSERT_EQ(given.at("sets").size(), 1U);
  const json& test = given["sets"][0];
  EXPECT_EQ(test.at("with").at("accuracy"), test.at("without").at("accuracy"));
  EXPECT_NEAR(test.at("with").at("device_operations").get<double>() -
                  test.at("without").at("device_operations").get<double>(),
              first.at("operations").get<double>(), 1e-6);
  EXPECT_NE(run(eval("c", {"--select-on", "test"})).out.find("saves"), std::string::npos);

  // The logits of infer-all give the same.
  ASSERT_EQ(
      run({"infer-all", place("a"), "--data", data(), "--split", "test", "--out", place("logits")})
          .code,
      0);
  const json stored = parsed(eval("c", {"--json", "--gamma", "0", "--logits", place("logits")}));
  EXPECT_EQ(stored["sets"][0], test);
  refused(eval("c", {"--split", "val", "--gamma", "0", "--logits", place("logits")}), 1,
          "not these 80 images");
}

TEST_F(PredictorCommandTest, RefusesWhatCannotBeTrained) {
  const Words enough{"--lambda", "0.9", "--out", place("never")};
  const auto with = [&](const Words& more) {
    Words words = enough;
    words.insert(words.end(), more.begin(), more.end());
    return train(words);
  };
  refused(train({"--out", place("never")}), 2, "--lambda");
  refused(train({"--lambda", "1.5", "--out", place("never")}), 2, "1.5");
  refused(train({"--lambda", "nan", "--out", place("never")}), 2, "nan");
  refused(train({"--lambda", "0.9,0.8,0.7", "--out", place("never")}), 2, "3 values for 2 early");
  refused(train({"--lambda", "0.9"}), 2, "--out");
  refused(with({"--kind", "huge"}), 2, "--kind");
  refused(with({"--reads-after", "block1"}), 2, "take kind feature");
  refused(with({"--kind", "feature", "--reads-after", "block6"}), 2, "6 trunk blocks, expected 1");
  refused(with({"--kind", "feature", "--reads-after", "layer9"}), 2, "layer9");
  refused(with({"--views", "-1"}), 2, "--views");
  refused(with({"--views", "2", "--augment", "none"}), 2, "2 views");
  refused(with({"--labels", "all"}), 2, "--labels");
  refused(with({"--labels", "held-out", "--select-share", "0"}), 2, "--select-share 0");
  refused(with({"--lr", "-1", "--views", "1"}), 2, "--lr");

  ASSERT_EQ(
      run(with({"--views", "1", "--epochs", "1", "--kind", "fc", "--cache", place("cache")})).code,
      0);
  std::filesystem::remove(folder_ / "never");
  refused(with({"--views", "2", "--cache", place("cache")}), 1, "was made with views '1'");
  refused(with({"--views", "1", "--seed", "2", "--cache", place("cache")}), 1, "seed");
  refused(with({"--views", "1", "--labels", "held-out", "--cache", place("cache")}), 1, "was made");
  refused(with({"--views", "1", "--cache", place("net/last.safetensors")}), 1, "no cache");

  train_network("plain", {"--exits", "0", "--max-steps", "1"});
  refused(train(enough, "plain"), 2, "no early exit");
  ASSERT_EQ(
      test::run_program({BRANCHY, "export", place("net"), "--out", place("split")}, folder_ / "log")
          .code,
      0);
  refused(train(enough, "split/edge.safetensors"), 2, "one side of a split");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "never"));
}

TEST_F(PredictorCommandTest, RefusesPredictorsOfOthers) {
  ASSERT_EQ(run(train({"--lambda", "0.15", "--views", "1", "--epochs", "1", "--kind", "fc", "--out",
                       place("mine")}))
                .code,
            0);
  refused(eval("net"), 2, "holds no exit predictor");
  refused(eval("mine", {"--gamma", "1.5"}), 2, "--gamma '1.5'");
  refused(eval("mine", {"--gamma", "0.5,0.5,0.5"}), 2, "--gamma");
  refused(eval("mine", {"--lambda", "0.2"}), 2, "was trained for 0.15,0.15");

  LoadedModel model = load_model(folder_ / "mine");
  model.info.temperatures = {1.5F, 1.0F, 1.0F};
  save_model(folder_ / "calibrated", *model.network, model.info, model.attachments);
  refused(eval("calibrated"), 1, "calibrated since");

  train_network("other", {"--exit-after", "3,6", "--max-steps", "2", "--seed", "9"});
  LoadedModel other = load_model(folder_ / "other/last.safetensors");
  other.info.records = load_model(folder_ / "mine").info.records;
  save_model(folder_ / "mixed", *other.network, other.info, model.attachments);
  refused(eval("mixed"), 1, "of another network");

  model = load_model(folder_ / "mine");
  model.info.records["predictor.thresholds"] = "0.9";
  save_model(folder_ / "damaged", *model.network, model.info, model.attachments);
  refused(eval("damaged"), 1, "predictor.thresholds");
}

TEST_F(PredictorCommandTest, InterruptWritesNothing) {
  Words command = train({"--lambda", "0.15", "--views", "1", "--epochs", "100000", "--cache",
                         place("cache"), "--out", place("never")});
  command.insert(command.begin(), BRANCHY);
  test::ChildProcess child(command, folder_ / "log");
  ASSERT_TRUE(test::wait_until([&] { return std::filesystem::exists(folder_ / "cache"); }, 60s));
  std::this_thread::sleep_for(300ms);
  child.signal(SIGINT);
  EXPECT_EQ(child.wait(60s), 130);
  EXPECT_NE(test::read_text(folder_ / "log").find("was not written"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "never"));
}

}  // namespace
}  // namespace branchy
