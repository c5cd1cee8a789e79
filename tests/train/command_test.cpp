// The `branchy` program as a user runs it: exit codes, one-line errors, interruption and kill.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "core/atomic_file.h"
#include "core/rng.h"
#include "core/safetensors.h"
#include "data/synth.h"
#include "layers/models/registry.h"
#include "layers/weight_export.h"
#include "tests/support/child_process.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using test::Outcome;
using test::tensors_of;

class CommandTest : public ::testing::Test {
 protected:
  CommandTest() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    write_synth_dataset(folder_.path(), {.num_train = 400, .num_test = 50, .seed = 5});
  }

  [[nodiscard]] std::string data() const { return "cifar10:" + folder_.path().string(); }
  [[nodiscard]] std::string run_folder(const std::string& name) const {
    return (folder_ / name).string();
  }

  [[nodiscard]] std::vector<std::string> train_command(const std::string& name,
                                                       const std::string& epochs = "2") const {
    return {BRANCHY,     "train", "--data",
            data(),      "--out", run_folder(name),
            "--epochs",  epochs,  "--batch",
            "32",        "--val", "80",
            "--threads", "1",     "--checkpoint-seconds",
            "0"};
  }

  Outcome run(std::vector<std::string> command) {
    return test::run_program(std::move(command), folder_ / "log");
  }

  void expect_failure(const std::vector<std::string>& arguments, int code,
                      const std::string& text) {
    std::vector<std::string> command{BRANCHY};
    command.insert(command.end(), arguments.begin(), arguments.end());
    test::expect_one_line(run(command), code, text);
  }

  void overwrite(const std::filesystem::path& file, std::int64_t offset, char byte) const {
    std::fstream stream(folder_ / file.string(), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(offset);
    stream.put(byte);
  }

  test::TemporaryDirectory folder_;
};

TEST_F(CommandTest, HelpAndVersionSucceed) {
  EXPECT_EQ(run({BRANCHY, "--help"}).code, 0);
  EXPECT_EQ(run({BRANCHY, "train", "--help"}).code, 0);
  EXPECT_NE(run({BRANCHY, "--version"}).out.find("commit"), std::string::npos);
}

TEST_F(CommandTest, UsageErrorsExitWithTwo) {
  const std::string run = run_folder("never");
  expect_failure({}, 2, "subcommand");
  expect_failure({"train", "--data", data(), "--frobnicate"}, 2, "--frobnicate");
  expect_failure({"train", "--out", run}, 2, "--data");
  expect_failure({"train", "--data", data(), "--out", run, "--threads", "0"}, 2, "--threads 0");
  expect_failure({"train", "--data", data(), "--out", run, "--threads", "9999"}, 2, "9999 threads");
  expect_failure({"train", "--data", data(), "--out", run, "--val", "80", "--net", "resnet9000"}, 2,
                 "resnet44");
  expect_failure({"train", "--data", data(), "--out", run, "--val", "80", "--exits", "5"}, 2,
                 "5 early exits");
  expect_failure({"train", "--data", data(), "--out", run, "--lr", "nan"}, 2, "--lr");
  expect_failure(
      {"train", "--data", data(), "--out", run, "--val", "80", "--exit-weights", "1", "2"}, 2,
      "exit weights");
  expect_failure({"train", "--data", data(), "--out", run, "--val", "400"}, 2, "400");
  expect_failure({"train", "--data", data(), "--out", run, "--val", "80", "--exit-after", "99"}, 2,
                 "rising numbers in 0 .. 20");
  expect_failure({"train", "--data", data(), "--out", run, "--val", "80", "--net", "mobilenet_v2",
                  "--option", "input=32", "--exits", "20"},
                 2, "20 early exits do not fit");
  expect_failure({"train", "--data", data(), "--out", run, "--val", "80", "--net", "cnn9",
                  "--exit-weights", "1", "1", "1"},
                 2, "3 exit weights, cnn9 has 9 exits");
  expect_failure({"profile", "--classes", "1"}, 2, "1 classes");
  expect_failure({"profile", "--exits", "23"}, 2, "23 early exits");
  expect_failure({"profile", "--convention", "flops"}, 2, "ptflops, pthflops, mac");
  for (const char* places : {"5,", ",5", "5,,7"})
    expect_failure({"train", "--data", data(), "--out", run, "--val", "80", "--exit-after", places},
                   2, places);
  expect_failure({"train", "--data", data(), "--out", run, "--drop-epochs", "nan"}, 2,
                 "--drop-epochs");
  expect_failure({"nets", "--exits", "2"}, 2, "--net");
  expect_failure({"nets", "--exit-after", "2"}, 2, "--net");
  expect_failure({"nets", "--option", "exit=light"}, 2, "--net");
  expect_failure({"nets", "--net", "resnet45"}, 2, "resnet44");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "never"));
}

TEST_F(CommandTest, NetworksArePrintedWithTheirCounts) {
  const Outcome list = run({BRANCHY, "nets", "--json"});
  ASSERT_EQ(list.code, 0) << list.error;
  std::map<std::string, nlohmann::json> networks;
  for (const auto& entry : nlohmann::json::parse(list.out)) networks[entry.at("network")] = entry;
  EXPECT_EQ(networks.size(), 7U);
  EXPECT_EQ(networks.at("resnet44").at("backbone").at("ptflops"), 98517642);
  EXPECT_EQ(networks.at("mobilenet_v2").at("blocks"), 19);
  EXPECT_EQ(networks.at("cnn9").at("early_exits"), 8);
  EXPECT_NE(run({BRANCHY, "nets"}).out.find("98517642"), std::string::npos);

  const std::vector<std::string> command{BRANCHY,     "nets", "--net",   "mobilenet_v2",
                                         "--classes", "257",  "--exits", "2"};
  const Outcome blocks = run(command);
  ASSERT_EQ(blocks.code, 0) << blocks.error;
  EXPECT_NE(blocks.out.find("111428352"), std::string::npos) << blocks.out;
  std::vector<std::string> with_json = command;
  with_json.emplace_back("--json");
  const auto trunk = nlohmann::json::parse(run(with_json).out).at("trunk");
  EXPECT_EQ(trunk.at(5).at("exit"), "exits.1");
  EXPECT_EQ(trunk.at(13).at("exit"), "exits.2");
  EXPECT_EQ(trunk.at(13).at("cumulative").at("pthflops"), 222568192);
}

TEST_F(CommandTest, ProfileCountsInEveryConvention) {
  for (const auto& [convention, count] : std::map<std::string, std::int64_t>{
           {"ptflops", 98517642}, {"pthflops", 98697866}, {"mac", 97436288}}) {
    const Outcome profile = run({BRANCHY, "profile", "--convention", convention, "--json"});
    ASSERT_EQ(profile.code, 0) << profile.error;
    const auto json = nlohmann::json::parse(profile.out);
    EXPECT_EQ(json.at("convention"), convention);
    EXPECT_EQ(json.at("totals").at("backbone").at("counted"), count);
    EXPECT_NE(run({BRANCHY, "profile", "--convention", convention}).out.find(std::to_string(count)),
              std::string::npos);
  }
}

TEST_F(CommandTest, DamagedDataNamesTheFile) {
  const std::filesystem::path batches = "cifar-10-batches-bin";
  overwrite(batches / "data_batch_2.bin", 3 * 3073, 11);
  expect_failure({"train", "--data", data(), "--out", run_folder("a")}, 1, "data_batch_2.bin");
  overwrite(batches / "data_batch_2.bin", 3 * 3073, 1);
  std::filesystem::resize_file(folder_.path() / batches / "data_batch_3.bin", 3073 * 10 + 5);
  expect_failure({"train", "--data", data(), "--out", run_folder("b")}, 1, "data_batch_3.bin");
  std::filesystem::remove(folder_.path() / batches / "data_batch_3.bin");
  expect_failure({"train", "--data", data(), "--out", run_folder("c")}, 1, "data_batch_3.bin");
  expect_failure({"train", "--data", "cifar10:/nonexistent", "--out", run_folder("d")}, 1,
                 "/nonexistent");
}

TEST_F(CommandTest, UnwritableOutputIsOneLine) {
  expect_failure({"train", "--data", data(), "--val", "80", "--out", "/proc/branchy"}, 1,
                 "/proc/branchy");
}

TEST_F(CommandTest, ForeignAndDamagedModelFilesAreRefused) {
  write_safetensors(folder_ / "foreign.safetensors", {{"x", Tensor::zeros({2})}}, {});
  expect_failure({"eval", (folder_ / "foreign.safetensors").string(), "--data", data()}, 2,
                 "--net");
  {
    std::ofstream huge(folder_ / "huge.safetensors", std::ios::binary);
    huge << std::string(7, '\0') << '\x80' << "{}";
  }
  expect_failure({"eval", (folder_ / "huge.safetensors").string(), "--data", data()}, 1,
                 "huge.safetensors");
  expect_failure({"eval", (folder_ / "absent").string(), "--data", data()}, 1, "absent");
}

TEST_F(CommandTest, TrainsEvaluatesAndExports) {
  ASSERT_EQ(run(train_command("run")).code, 0);
  const Outcome eval = run({BRANCHY, "eval", run_folder("run"), "--data", data(), "--threshold",
                            "0.2", "0.9,0.5", "--json"});
  ASSERT_EQ(eval.code, 0) << eval.error;
  const auto json = nlohmann::json::parse(eval.out);
  EXPECT_EQ(json["samples"], 50);
  EXPECT_EQ(json["acc_all"].size(), 3U);
  ASSERT_EQ(json["policies"].size(), 2U);
  double share = 0.0;
  for (const auto& exit : json["policies"][0]["exits"]) share += exit["share"].get<double>();
  EXPECT_NEAR(share, 1.0, 1e-9);
  expect_failure({"eval", run_folder("run"), "--data", data(), "--threshold", "1.5"}, 2, "1.5");
  expect_failure({"eval", run_folder("run"), "--data", data(), "--threshold", "x"}, 2, "'x'");

  const std::string split = run_folder("split");
  ASSERT_EQ(run({BRANCHY, "export", run_folder("run"), "--out", split}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(split + "/edge.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(split + "/cloud.safetensors"));
  ASSERT_EQ(run({BRANCHY, "export", run_folder("run"), "--out", split, "--whole"}).code, 0);
  const Outcome again =
      run({BRANCHY, "eval", split + "/model.safetensors", "--data", data(), "--json"});
  EXPECT_EQ(nlohmann::json::parse(again.out)["acc_all"], json["acc_all"]);
  expect_failure({"export", run_folder("run"), "--out", split, "--cut", "3"}, 2, "--cut 3");
  for (const char* flag : {"--cut=1", "--cut-after=layer2.0", "--suffix-only"})
    expect_failure({"export", run_folder("run"), "--out", split, "--whole", flag}, 2, "excludes");
  expect_failure({"export", run_folder("run"), "--out", split, "--cut-after", "layer9"}, 2,
                 "layer2.0");
  expect_failure({"eval", split + "/edge.safetensors", "--data", data()}, 2, "one side of a split");
}

/// A file as akamaster publishes them; gives its path.
std::filesystem::path write_published(const std::filesystem::path& path) {
  Rng rng(3);
  const auto network = make_network(
      {.name = "resnet44", .early_exits = 0, .options = {{"shortcut", "option-a"}}}, rng);
  export_weights(path, *network, {}, {}, {.to = WeightFamily::kAkamaster});
  return path;
}

TEST_F(CommandTest, PublishedWeightsAreEvaluatedAndConverted) {
  const std::string published = write_published(folder_ / "published.safetensors").string();
  const Outcome eval = run({BRANCHY, "eval", published, "--net", "resnet44", "--normalize",
                            "imagenet", "--data", data(), "--batch", "20", "--logits",
                            run_folder("logits"), "--inputs", run_folder("inputs")});
  ASSERT_EQ(eval.code, 0) << eval.error;
  EXPECT_NE(eval.error.find("217 tensors by the names of akamaster"), std::string::npos)
      << eval.error;
  EXPECT_EQ(SafetensorsFile(folder_ / "logits").tensor("logits.1").shape(), (Shape{50, 10}));
  EXPECT_EQ(SafetensorsFile(folder_ / "inputs").tensor("inputs").shape(), (Shape{50, 3, 32, 32}));

  const std::string model = run_folder("model.safetensors");
  ASSERT_EQ(run({BRANCHY, "convert", published, "--net", "resnet44", "--normalize", "imagenet",
                 "--to", "branchy", "--out", model})
                .code,
            0);
  EXPECT_EQ(SafetensorsFile(model).metadata().at("normalize.mean"), "0.485,0.456,0.406");
  ASSERT_EQ(run({BRANCHY, "eval", model, "--data", data(), "--logits", run_folder("again")}).code,
            0);
  EXPECT_EQ(tensors_of(folder_ / "again"), tensors_of(folder_ / "logits"));
  const std::string back = run_folder("back.safetensors");
  ASSERT_EQ(run({BRANCHY, "convert", model, "--to", "akamaster", "--out", back}).code, 0);
  EXPECT_EQ(test::read_text(back), test::read_text(published));

  expect_failure({"eval", published, "--net", "resnet44", "--data", data()}, 2, "--normalize");
  expect_failure({"eval", model, "--net", "resnet44", "--data", data()}, 2, "says itself");
  expect_failure({"convert", model, "--to", "timm", "--out", back}, 2,
                 "timm has no network resnet44");
  expect_failure({"eval", published, "--net", "resnet44", "--classes", "7", "--normalize",
                  "imagenet", "--data", data()},
                 1, "--replace-head");
  write_file_atomically(folder_ / "net.pth", "PK\x03\x04" + std::string(100, 'x'));
  expect_failure(
      {"train", "--data", data(), "--out", run_folder("x"), "--init", run_folder("net.pth")}, 1,
      "python3 -c");
}

TEST_F(CommandTest, TrainsOnFromPublishedWeightsAndRecordsTheirNormalisation) {
  const std::string published = write_published(folder_ / "published.safetensors").string();
  std::vector<std::string> command = train_command("tuned", "1");
  command.insert(command.end(), {"--init", published, "--replace-head", "--max-steps", "1"});
  EXPECT_EQ(run(command).code, 2) << "no --normalize";
  command.insert(command.end(), {"--normalize", "0.5,0.5,0.5,0.25,0.25,0.25"});
  const Outcome outcome = run(command);
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.error.find("started anew"), std::string::npos) << outcome.error;
  EXPECT_NE(outcome.error.find("exits.1.block0.conv1.weight"), std::string::npos) << outcome.error;
  const SafetensorsFile tuned(folder_ / "tuned/last.safetensors");
  EXPECT_EQ(tuned.metadata().at("normalize.std"), "0.25,0.25,0.25");
  EXPECT_EQ(tuned.metadata().at("options"), "shortcut=option-a");
  command = train_command("strict", "1");
  command.insert(command.end(), {"--init", published, "--normalize", "imagenet", "--strict"});
  const Outcome strict = run(command);
  EXPECT_EQ(strict.code, 1);
  EXPECT_NE(strict.error.find("[" + published + "] strict"), std::string::npos) << strict.error;
}

TEST_F(CommandTest, ConfigurationFileGivesTheSameRunAndUnknownKeysAreRefused) {
  ASSERT_EQ(run(train_command("flags")).code, 0);
  const Outcome from_file = run({BRANCHY, "train", "--config", run_folder("flags") + "/config.toml",
                                 "--out", run_folder("file")});
  ASSERT_EQ(from_file.code, 0) << from_file.error;
  EXPECT_EQ(tensors_of(folder_ / "flags/last.safetensors"),
            tensors_of(folder_ / "file/last.safetensors"));
  expect_failure({"train", "--resume", run_folder("flags"), "--epochs", "9"}, 2,
                 "config.toml; leave out --epochs");
  std::ofstream(folder_ / "odd.toml") << "[train]\nlerning-rate = 3\n";
  expect_failure({"train", "--config", (folder_ / "odd.toml").string()}, 2, "lerning-rate");
}

TEST_F(CommandTest, FoldersWithOddNamesAreReadBack) {
  for (const char* name : {"a #1, 'one'", "b \"two\"#2"}) {
    std::filesystem::create_directory_symlink(folder_.path(), folder_ / (std::string(name) + "="));
    std::vector<std::string> command = train_command(name, "1");
    command.insert(command.end(), {"--max-steps", "1"});
    command[3] = "cifar10:" + run_folder(name) + "=";
    const Outcome trained = run(command);
    ASSERT_EQ(trained.code, 0) << trained.error;
    const Outcome resumed = run({BRANCHY, "train", "--resume", run_folder(name)});
    EXPECT_EQ(resumed.code, 0) << resumed.error;
    const Outcome again = run({BRANCHY, "train", "--config", run_folder(name) + "/config.toml",
                               "--out", run_folder(name) + " again"});
    EXPECT_EQ(again.code, 0) << again.error;
  }
  std::vector<std::string> both = train_command("'\"", "1");
  expect_failure({both.begin() + 1, both.end()}, 2, "quotes of both kinds");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "'\""));
}

TEST_F(CommandTest, OptionsOfTheNetworkTravelWithTheRun) {
  std::vector<std::string> command = train_command("small");
  for (const char* word : {"--net", "cnn9", "--exit-after", "3,block6", "--option", "widths=4,4,8",
                           "--option", "exit=bnpool", "--exit-weights", "1", "2", "3"})
    command.emplace_back(word);
  const Outcome trained = run(command);
  ASSERT_EQ(trained.code, 0) << trained.error;
  const Outcome from_file = run({BRANCHY, "train", "--config", run_folder("small") + "/config.toml",
                                 "--out", run_folder("again")});
  ASSERT_EQ(from_file.code, 0) << from_file.error;
  EXPECT_EQ(tensors_of(folder_ / "small/last.safetensors"),
            tensors_of(folder_ / "again/last.safetensors"));
  EXPECT_EQ(run({BRANCHY, "train", "--resume", run_folder("small")}).code, 0);
  const Outcome evaluated = run({BRANCHY, "eval", run_folder("small"), "--data", data(), "--json"});
  ASSERT_EQ(evaluated.code, 0) << evaluated.error;
  EXPECT_EQ(nlohmann::json::parse(evaluated.out)["acc_all"].size(), 3U);
}

TEST_F(CommandTest, InterruptSavesAndExitsWith130) {
  const std::vector<std::string> command = train_command("interrupted", "1000");
  test::ChildProcess child(command, folder_ / "log");
  ASSERT_TRUE(test::wait_until(
      [&] { return std::filesystem::exists(folder_ / "interrupted/last.safetensors"); }, 60s));
  std::this_thread::sleep_for(500ms);
  child.signal(SIGINT);
  EXPECT_EQ(child.wait(60s), 130);
  EXPECT_NE(test::read_text(folder_ / "log").find("--resume"), std::string::npos);
  const SafetensorsFile saved(folder_ / "interrupted/last.safetensors");
  EXPECT_GE(std::stoll(saved.metadata().at("train.step")), 1);
}

// Killed at random moments, also while a checkpoint is written, and resumed each time: the final
// weights are those of the uninterrupted run.
TEST_F(CommandTest, KilledAndResumedRunEndsWithTheSameBytes) {
  ASSERT_EQ(run(train_command("whole")).code, 0);
  Rng rng(7);
  std::vector<std::string> command = train_command("killed");
  for (int kill = 0; kill < 5; ++kill) {
    test::ChildProcess child(command, folder_ / "log");
    std::this_thread::sleep_for(std::chrono::milliseconds(300 + rng.below(900)));
    child.signal(SIGKILL);
    const auto code = child.wait(60s);
    ASSERT_TRUE(code == 137 || code == 0) << test::read_text(folder_ / "log");
    if (std::filesystem::exists(folder_ / "killed/config.toml"))
      command = {BRANCHY, "train", "--resume", run_folder("killed")};
  }
  const Outcome last = run(command);
  ASSERT_EQ(last.code, 0) << last.error;
  EXPECT_EQ(tensors_of(folder_ / "whole/last.safetensors"),
            tensors_of(folder_ / "killed/last.safetensors"));
}

}  // namespace
}  // namespace branchy
