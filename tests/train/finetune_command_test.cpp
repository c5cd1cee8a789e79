// `branchy finetune` as a user runs it.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "data/synth.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using test::expect_one_line;
using test::Outcome;
using test::tensors_of;
using Words = std::vector<std::string>;

class FinetuneCommandTest : public ::testing::Test {
 protected:
  FinetuneCommandTest() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    write_synth_dataset(folder_.path(), {.num_train = 150, .num_test = 50, .seed = 5});
    const Outcome source =
        run({BRANCHY, "train", "--exits", "0", "--data", data(), "--val", "50", "--batch", "20",
             "--threads", "1", "--max-steps", "2", "--out", place("source")});
    EXPECT_EQ(source.code, 0) << source.error;
  }

  [[nodiscard]] std::string data() const { return "cifar10:" + folder_.path().string(); }
  [[nodiscard]] std::string place(const std::string& name) const {
    return (folder_ / name).string();
  }
  Outcome run(Words command) { return test::run_program(std::move(command), folder_ / "log"); }

  [[nodiscard]] Words finetune(const std::string& name, const Words& flags) const {
    Words command{BRANCHY,
                  "finetune",
                  "--from",
                  place("source"),
                  "--data",
                  data(),
                  "--out",
                  place(name),
                  "--threads",
                  "1",
                  "--batch",
                  "20",
                  "--val",
                  "50",
                  "--checkpoint-seconds",
                  "0"};
    command.insert(command.end(), flags.begin(), flags.end());
    return command;
  }

  void refuses(const Words& flags, int code, const std::string& text) {
    expect_one_line(run(finetune("never", flags)), code, text);
  }

  test::TemporaryDirectory folder_;
};

TEST_F(FinetuneCommandTest, AddsExitsToAFrozenNetworkAndEvaluatesThem) {
  const Outcome tuned = run(finetune("heads", {"--exits", "2", "--freeze", "backbone,classifier",
                                               "--augment", "none", "--epochs", "2"}));
  ASSERT_EQ(tuned.code, 0) << tuned.error;
  EXPECT_NE(tuned.error.find("frozen trunk computed once"), std::string::npos) << tuned.error;
  EXPECT_NE(tuned.error.find("exits.1"), std::string::npos) << tuned.error;
  const Outcome eval =
      run({BRANCHY, "eval", place("heads"), "--data", data(), "--threads", "1", "--json"});
  ASSERT_EQ(eval.code, 0) << eval.error;
  EXPECT_EQ(nlohmann::json::parse(eval.out)["acc_all"].size(), 3U);
  // A run like any other: it can be the source of the next one.
  Words again = finetune("again", {"--freeze", "until:layer1.3", "--epochs", "1"});
  again[3] = place("heads");
  EXPECT_EQ(run(again).code, 0);
}

TEST_F(FinetuneCommandTest, GroupRatesAndRecipesAreRecordedAndReadBack) {
  const Outcome tuned =
      run(finetune("rates", {"--recipe", "pacheco", "--augment", "crop-flip", "--lr-backbone",
                             "1e-5", "--lr-exits", "2e-3", "--weight-decay-exits", "0", "--exits",
                             "3", "--max-steps", "2"}));
  ASSERT_EQ(tuned.code, 0) << tuned.error;
  const std::string config = test::read_text(place("rates") + "/config.toml");
  for (const char* line : {"[finetune]", "optimizer = \"adam\"", "lr-backbone = 1e-05",
                           "lr-exits = 0.002", "weight-decay-exits = 0", "lr-classifier = 0",
                           "schedule = \"cosine-swing\"", "exits = 3", "patience = 5"})
    EXPECT_NE(config.find(line), std::string::npos) << line << "\n" << config;
  const Outcome from_file =
      run({BRANCHY, "finetune", "--config", place("rates") + "/config.toml", "--out", place("b")});
  ASSERT_EQ(from_file.code, 0) << from_file.error;
  EXPECT_EQ(tensors_of(place("rates") + "/last.safetensors"),
            tensors_of(place("b") + "/last.safetensors"));
}

TEST_F(FinetuneCommandTest, GoesOnAfterAKillWithTheSameBytes) {
  const Words flags{"--exits", "2", "--freeze", "backbone", "--epochs", "4"};
  ASSERT_EQ(run(finetune("whole", flags)).code, 0);
  {
    test::ChildProcess child(finetune("killed", flags), folder_ / "log");
    ASSERT_TRUE(test::wait_until(
        [&] { return std::filesystem::exists(folder_ / "killed/last.safetensors"); }, 60s));
    std::this_thread::sleep_for(300ms);
    child.signal(SIGKILL);
    static_cast<void>(child.wait(60s));
  }
  // The source is not needed any more.
  std::filesystem::remove_all(folder_ / "source");
  const Outcome resumed = run({BRANCHY, "finetune", "--resume", place("killed")});
  ASSERT_EQ(resumed.code, 0) << resumed.error;
  EXPECT_EQ(tensors_of(place("whole") + "/last.safetensors"),
            tensors_of(place("killed") + "/last.safetensors"));
  expect_one_line(run({BRANCHY, "train", "--resume", place("killed")}), 2, "branchy train");
}

TEST_F(FinetuneCommandTest, RefusesWhatMakesNoSense) {
  refuses({"--freeze", "until:layer1.9"}, 2, "layer1.0");
  refuses({"--freeze", "all"}, 2, "'all'");
  refuses({"--exits", "0", "--freeze", "backbone,classifier"}, 2, "nothing of resnet44");
  refuses({"--exits", "2", "--freeze", "backbone,exits,classifier"}, 2, "left to train");
  refuses({"--optimizer", "lion"}, 2, "sgd, adam or adamw");
  refuses({"--lr-exits", "-1"}, 2, "--lr-exits");
  refuses({"--lr-backbone", "nan"}, 2, "--lr-backbone");
  refuses({"--beta1", "1"}, 2, "beta1");
  refuses({"--epsilon", "0"}, 2, "epsilon");
  refuses({"--recipe", "paper"}, 2, "pacheco");
  refuses({"--feature-memory-mib", "-1"}, 2, "--feature-memory-mib");
  refuses({"--normalize", "sepia"}, 2, "sepia");
  refuses({"--net", "alexnet"}, 1, "alexnet");
  refuses({"--exit-after", "99"}, 2, "exit-after");
  expect_one_line(run({BRANCHY, "finetune", "--data", data(), "--out", place("never")}), 2,
                  "--from");
  Words absent = finetune("never", {});
  absent[3] = place("absent");
  expect_one_line(run(absent), 1, "absent");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "never"));
}

}  // namespace
}  // namespace branchy
