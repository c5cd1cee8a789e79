// `branchy tune` as a user runs it, and what a run makes of its file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/synth.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using nlohmann::json;
using test::expect_one_line;
using test::Outcome;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

class TuneCommandTest : public ::testing::Test {
 protected:
  TuneCommandTest() {
    ::setenv("XDG_CACHE_HOME", place("cache").c_str(), 1);
    ::unsetenv("BRANCHY_CONV");
    write_synth_dataset(folder_.path(), {.num_train = 100, .num_test = 20, .seed = 5});
  }
  [[nodiscard]] std::string place(const std::string& name) const {
    return (folder_ / name).string();
  }
  Outcome run(Words arguments) {
    arguments.insert(arguments.begin(), BRANCHY);
    return test::run_program(std::move(arguments), folder_ / "log");
  }
  Outcome tune(const Words& more = {}) {
    Words words{"tune", "--net",    "cnn9", "--exits",   "0", "--batch",
                "16",   "--rounds", "1",    "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  Outcome train(const std::string& out, const Words& more = {}) {
    Words words{"train",
                "--net",
                "cnn9",
                "--exits",
                "0",
                "--data",
                "cifar10:" + folder_.path().string(),
                "--out",
                place(out),
                "--batch",
                "16",
                "--val",
                "20",
                "--threads",
                "1",
                "--max-steps",
                "3",
                "--epochs",
                "1"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  static json read_json(const std::string& path) {
    std::ifstream file(path);
    return json::parse(file, nullptr, false);
  }
  /// Lets a run of 3 steps go on to `steps`.
  static void go_on_to(const std::string& config, const std::string& steps) {
    std::string text = test::read_text(config);
    const std::string old = "max-steps = 3";
    ASSERT_NE(text.find(old), std::string::npos) << text;
    text.replace(text.find(old), old.size(), "max-steps = " + steps);
    std::ofstream(config) << text;
  }
  /// The methods of this machine in a tuning file.
  static json table_of(const std::string& path) {
    const json file = read_json(path);
    return file.is_object() && file.size() == 1 ? file.front() : json();
  }

  test::TemporaryDirectory folder_;
};

TEST_F(TuneCommandTest, ARunTakesKeepsAndResumesWithWhatWasMeasured) {
  const Outcome tuned = tune();
  ASSERT_EQ(tuned.code, 0) << tuned.error;
  EXPECT_THAT(tuned.out, HasSubstr("winograd"));
  const std::string file = place("cache/branchy/convolutions.json");
  const json table = table_of(file);
  ASSERT_TRUE(table.is_object() && !table.empty()) << read_json(file).dump();

  ASSERT_EQ(train("tuned").code, 0);
  EXPECT_EQ(read_json(place("tuned/convolutions.json")), table);
  // All to the other method: other bits, which show who takes the table from where.
  json turned = read_json(file);
  for (auto& machine : turned)
    for (auto& method : machine) method = method == "direct" ? "gemm" : "direct";
  std::ofstream(file) << turned.dump();
  ASSERT_EQ(train("tuned_again", {"--tuning", "none"}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(place("tuned_again/convolutions.json")));
  go_on_to(place("tuned/config.toml"), "5");
  const Outcome resumed = run({"train", "--resume", place("tuned")});
  ASSERT_EQ(resumed.code, 0) << resumed.error;
  EXPECT_EQ(read_json(place("tuned/convolutions.json")), table);
  ASSERT_EQ(train("turned").code, 0);
  EXPECT_EQ(read_json(place("turned/convolutions.json")), turned.front());
}

TEST_F(TuneCommandTest, RefusesWhatIsNoTuningOfThisMachine) {
  std::ofstream(place("other.json")) << R"({"another CPU": {}})";
  expect_one_line(train("run", {"--tuning", place("other.json")}), 2, "has no measurements for");
  std::ofstream(place("wrong.json")) << "direct";
  expect_one_line(train("run", {"--tuning", place("wrong.json")}), 1, "is no tuning file");
  expect_one_line(tune({"--out", place("wrong.json")}), 1, "is no tuning file");
  ::setenv("BRANCHY_CONV", "direct", 1);
  expect_one_line(tune(), 2, "BRANCHY_CONV forces one method");
  ::unsetenv("BRANCHY_CONV");
}

TEST_F(TuneCommandTest, LeavesOtherMachinesInTheFile) {
  std::ofstream(place("shared.json")) << R"({"another CPU": {"forward 1": "gemm"}})";
  ASSERT_EQ(tune({"--out", place("shared.json")}).code, 0);
  const json file = read_json(place("shared.json"));
  EXPECT_EQ(file.size(), 2U);
  EXPECT_EQ(file.at("another CPU").at("forward 1"), "gemm");
}

}  // namespace
}  // namespace branchy
