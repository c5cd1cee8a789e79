// `branchy` and `branchy-edge` on folders of photographs, as a user runs them.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/rng.h"
#include "core/safetensors.h"
#include "tests/data/image_samples.h"
#include "tests/data/photo_files.h"
#include "tests/support/child_process.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::expect_one_line;
using test::Outcome;
using test::tensors_of;
namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr const char* kSomeClass = "1.a";

std::string text_of(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

/// Three classes of ten photographs: 25 to train, 2 to validate, 3 to test; the network is
/// ResNet44.
class PhotoCommandTest : public ::testing::Test {
 protected:
  PhotoCommandTest() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    test::write_photos(photos(), 3, 10);
  }

  [[nodiscard]] fs::path photos() const { return folder_ / "photos"; }
  [[nodiscard]] std::string data() const { return "folder:" + photos().string(); }
  [[nodiscard]] std::string place(const std::string& name) const {
    return (folder_ / name).string();
  }
  [[nodiscard]] std::string last(const std::string& run) const {
    return place(run) + "/last.safetensors";
  }

  Outcome run(Words command) { return test::run_program(std::move(command), folder_ / "log"); }

  /// Steps of 5 photographs into the run folder `name`; flags given twice would be refused.
  [[nodiscard]] Words train(const std::string& name,
                            const Words& flags = {"--max-steps", "3"}) const {
    Words command{BRANCHY,
                  "train",
                  "--data",
                  data(),
                  "--out",
                  place(name),
                  "--augment",
                  "imagenet",
                  "--batch",
                  "5",
                  "--threads",
                  "1",
                  "--checkpoint-seconds",
                  "0"};
    command.insert(command.end(), flags.begin(), flags.end());
    return command;
  }

  json evaluate(const std::string& model, const Words& flags = {}) {
    Words command{BRANCHY, "eval", model, "--data", data(), "--json", "--threads", "1"};
    command.insert(command.end(), flags.begin(), flags.end());
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    return outcome.code == 0 ? json::parse(outcome.out) : json();
  }

  std::vector<json> lines_of(const std::string& name) const {
    std::istringstream stream(test::read_text(folder_ / name));
    std::vector<json> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
    return lines;
  }

  /// The paths of split.tsv that are for testing.
  [[nodiscard]] Words test_paths(const std::string& run) const {
    std::istringstream stream(test::read_text(folder_ / run / "split.tsv"));
    Words paths;
    for (std::string line; std::getline(stream, line);)
      if (line.starts_with("test\t")) paths.push_back(line.substr(5));
    return paths;
  }

  test::TemporaryDirectory folder_;
};

TEST_F(PhotoCommandTest, TrainsEvaluatesAndServesTheSamePhotographs) {
  const Outcome trained = run(train("run"));
  ASSERT_EQ(trained.code, 0) << trained.error;
  EXPECT_NE(trained.error.find("split clean"), std::string::npos) << trained.error;
  const json result = json::parse(test::read_text(folder_ / "run/result.json"));
  EXPECT_NE(result["data_split"].get<std::string>().find("25 training, 2 validation, 3 test"),
            std::string::npos)
      << result["data_split"];
  const auto metadata = SafetensorsFile(last("run")).metadata();
  EXPECT_EQ(metadata.at("class_names"), "1.a\n2.b\n3.c");
  EXPECT_EQ(metadata.at("data.transforms"), "imagenet 32");
  EXPECT_TRUE(metadata.at("data.split").starts_with("clean:"));
  EXPECT_EQ(metadata.at("normalize.mean"), "0.485,0.456,0.406");

  EXPECT_EQ(evaluate(place("run"), {"--predictions", place("predictions")})["samples"], 3);
  EXPECT_EQ(evaluate(place("run"), {"--split", "val"})["samples"], 2);
  EXPECT_EQ(evaluate(place("run"), {"--split", "train"})["samples"], 25);
  EXPECT_EQ(evaluate(place("run"), {"--split", "all"})["samples"], 30);

  // Threshold 0: the first exit answers everything.
  const Words edge{BRANCHY_EDGE, "--model", last("run"), "--threshold", "0", "--threads", "1"};
  Words on_folder = edge;
  on_folder.insert(on_folder.end(), {"--data", data(), "--out", place("folder.jsonl")});
  const Outcome from_folder = run(on_folder);
  ASSERT_EQ(from_folder.code, 0) << from_folder.error;
  Words on_files = edge;
  on_files.insert(on_files.end(), {"--out", place("files.jsonl")});
  for (const std::string& path : test_paths("run")) on_files.push_back((photos() / path).string());
  const Outcome from_files = run(on_files);
  ASSERT_EQ(from_files.code, 0) << from_files.error;
  const auto predictions = lines_of("predictions");
  const auto by_folder = lines_of("folder.jsonl");
  const auto by_files = lines_of("files.jsonl");
  ASSERT_EQ(predictions.size(), 3U);
  ASSERT_EQ(by_folder.size(), 3U);
  ASSERT_EQ(by_files.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(by_folder[i]["label"], predictions[i]["label"]);
    EXPECT_EQ(by_folder[i]["class"], predictions[i]["classes"][0]);
    EXPECT_EQ(by_folder[i]["confidence"], predictions[i]["confidences"][0]);
    EXPECT_EQ(by_files[i]["class"], by_folder[i]["class"]);
    EXPECT_EQ(by_files[i]["confidence"], by_folder[i]["confidence"]);
    EXPECT_EQ(by_files[i]["class_name"].get<std::string>().size(), 3U);
  }
}

TEST_F(PhotoCommandTest, LoaderThreadsAndCacheChangeNothing) {
  ASSERT_EQ(run(train("plain", {"--max-steps", "7"})).code, 0);
  const auto expected = tensors_of(last("plain"));
  const std::string cache = place("cache");
  const std::vector<std::pair<std::string, Words>> others = {
      {"threads", {"--loader-threads", "3"}},
      {"cache", {"--cache", cache}},
      {"cached", {"--cache", cache, "--loader-threads", "2"}},
      {"skip", {"--skip-corrupt"}}};
  for (auto [name, flags] : others) {
    flags.insert(flags.end(), {"--max-steps", "7"});
    const Outcome outcome = run(train(name, flags));
    ASSERT_EQ(outcome.code, 0) << outcome.error;
    EXPECT_EQ(tensors_of(last(name)), expected) << name;
  }
  EXPECT_FALSE(fs::is_empty(cache));
}

// Killed at random moments, also while a checkpoint is written, and resumed each time.
TEST_F(PhotoCommandTest, KilledAndResumedRunEndsWithTheSameBytes) {
  const Words flags{"--epochs", "3", "--cache", place("cache"), "--loader-threads", "2"};
  ASSERT_EQ(run(train("whole", flags)).code, 0);
  Rng rng(11);
  Words command = train("killed", flags);
  for (int kill = 0; kill < 5; ++kill) {
    test::ChildProcess child(command, folder_ / "log");
    std::this_thread::sleep_for(std::chrono::milliseconds(200 + rng.below(900)));
    child.signal(SIGKILL);
    const auto code = child.wait(60s);
    ASSERT_TRUE(code == 137 || code == 0) << test::read_text(folder_ / "log");
    if (fs::exists(folder_ / "killed/config.toml"))
      command = {BRANCHY, "train", "--resume", place("killed")};
  }
  const Outcome end = run(command);
  ASSERT_EQ(end.code, 0) << end.error;
  EXPECT_EQ(tensors_of(last("killed")), tensors_of(last("whole")));
}

TEST_F(PhotoCommandTest, AChangedFolderIsNoticed) {
  ASSERT_EQ(run(train("run")).code, 0);
  const std::string split = test::read_text(folder_ / "run/split.tsv");
  test::write_file(photos() / kSomeClass / "new.ppm", test::photo_ppm(20, 20, 7));
  const Outcome resumed = run({BRANCHY, "train", "--resume", place("run")});
  EXPECT_EQ(resumed.code, 1);
  EXPECT_NE(resumed.last_error_line().find("the folder has changed"), std::string::npos)
      << resumed.error;
  EXPECT_EQ(test::read_text(folder_ / "run/split.tsv"), split);
  expect_one_line(run({BRANCHY, "eval", place("run"), "--data", data()}), 2, "--split all");
  expect_one_line(run({BRANCHY_EDGE, "--model", last("run"), "--threshold", "0", "--data", data()}),
                  2, "--split all");
  EXPECT_EQ(evaluate(place("run"), {"--split", "all"})["samples"], 31);
  fs::rename(photos() / "3.c", photos() / "3.d");
  expect_one_line(run({BRANCHY, "eval", place("run"), "--data", data(), "--split", "all"}), 2,
                  "'3.d' where the model has '3.c'");
}

TEST_F(PhotoCommandTest, TheTestListTravelsWithTheModel) {
  test::write_file(folder_ / "test.txt", "# mine\n3.c/image104.ppm\n1.a/image100.ppm\n");
  ASSERT_EQ(run(train("run", {"--max-steps", "1", "--test-list", place("test.txt")})).code, 0);
  EXPECT_EQ(test_paths("run"), (Words{"1.a/image100.ppm", "3.c/image104.ppm"}));
  fs::remove(folder_ / "test.txt");
  EXPECT_EQ(evaluate(place("run"))["samples"], 2);
  ASSERT_EQ(run({BRANCHY, "export", place("run"), "--out", place("split")}).code, 0);
  const Outcome edge = run({BRANCHY_EDGE, "--model", place("split/edge.safetensors"), "--threshold",
                            "0", "--threads", "1", "--data", data(), "--json"});
  ASSERT_EQ(edge.code, 0) << edge.error;
  EXPECT_EQ(json::parse(edge.out)["images"], 2);
  test::write_file(folder_ / "other.txt", "2.b/image104.ppm\n");
  expect_one_line(
      run({BRANCHY, "eval", place("run"), "--data", data(), "--test-list", place("other.txt")}), 2,
      "not split as in training");
}

TEST_F(PhotoCommandTest, ImageSizeSetsTheNetworksInput) {
  const Words small{"--max-steps", "2",        "--net",      "mobilenet_v2", "--exit-after",
                    "5",           "--option", "width=0.25", "--image-size", "48"};
  const Outcome trained = run(train("run", small));
  ASSERT_EQ(trained.code, 0) << trained.error;
  EXPECT_EQ(SafetensorsFile(last("run")).metadata().at("data.transforms"), "imagenet 48");
  EXPECT_EQ(evaluate(place("run"))["samples"], 3);
  const Outcome resumed = run({BRANCHY, "train", "--resume", place("run")});
  EXPECT_EQ(resumed.code, 0) << resumed.error;
  expect_one_line(run(train("fixed", {"--image-size", "64"})), 2,
                  "instead of its own 32: [resnet44] has no option 'input'");
  Words both = small;
  both.insert(both.end(), {"--option", "input=64"});
  expect_one_line(run(train("both", both)), 2, "give one of them");
}

TEST_F(PhotoCommandTest, DamagedFilesStopTheRunOrAreCountedAndLeftOut) {
  const std::string jpeg = text_of(test::sample_jpeg());
  std::string bomb = text_of(test::sample_png());
  for (const std::size_t side : {std::size_t{16}, std::size_t{20}})
    bomb.replace(side, 4, std::string("\0\0\xEA\x60", 4));
  const std::vector<std::pair<std::string, std::pair<std::string, std::string>>> damaged = {
      {"empty.jpg", {"", "empty"}},
      {"cut.jpg", {jpeg.substr(0, jpeg.size() - 40), "damaged"}},
      {"bomb.png", {bomb, "60000x60000 pixels"}},
      {"text.jpg", {"no image, just words", "no image"}}};
  for (const auto& [name, file] : damaged) {
    test::write_file(photos() / kSomeClass / name, file.first);
    const Outcome outcome = run(train(name, {"--epochs", "1"}));
    EXPECT_EQ(outcome.code, 1) << name;
    const std::string line = outcome.last_error_line();
    EXPECT_NE(line.find(name), std::string::npos) << line;
    EXPECT_NE(line.find(file.second), std::string::npos) << line;
    fs::remove(photos() / kSomeClass / name);
  }
  for (const auto& [name, file] : damaged)
    test::write_file(photos() / kSomeClass / name, file.first);
  const Outcome outcome = run(train("skip", {"--max-steps", "2", "--skip-corrupt"}));
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.error.find("4 damaged left out"), std::string::npos) << outcome.error;
  for (const auto& [name, file] : damaged)
    EXPECT_NE(outcome.error.find("left out: [" + (photos() / kSomeClass / name).string()),
              std::string::npos)
        << outcome.error;
  EXPECT_EQ(evaluate(place("skip"), {"--split", "all", "--skip-corrupt"})["samples"], 30);
  const Outcome edge = run({BRANCHY_EDGE, "--model", last("skip"), "--threshold", "0",
                            (photos() / kSomeClass / "bomb.png").string(),
                            (photos() / kSomeClass / "image100.ppm").string()});
  EXPECT_EQ(edge.code, 1);
  EXPECT_NE(edge.error.find("60000x60000"), std::string::npos) << edge.error;
  EXPECT_NE(edge.out.find("image100.ppm: "), std::string::npos) << edge.out;
}

TEST_F(PhotoCommandTest, OddFoldersAreRefused) {
  fs::create_directories(folder_ / "one/only");
  test::write_file(folder_ / "one/only/x.ppm", test::photo_ppm(8, 8, 1));
  expect_one_line(run({BRANCHY, "train", "--data", "folder:" + place("one"), "--out", place("a")}),
                  1, "1 class directories");
  fs::create_directories(photos() / "4.empty");
  expect_one_line(run(train("b")), 1, "4.empty");
  expect_one_line(
      run({BRANCHY, "train", "--data", "folder:" + place("absent"), "--out", place("c")}), 1,
      "absent");
  expect_one_line(run({BRANCHY, "train", "--data", "folder:", "--out", place("d")}), 2, "folder:");
  for (const char* refused : {"a", "b", "c", "d"}) EXPECT_FALSE(fs::exists(folder_ / refused));
}

TEST_F(PhotoCommandTest, APartFolderDecidesWhatValidates) {
  for (const char* part : {"train", "val", "test"})
    test::write_photos(folder_ / "parts" / part, 2, 5);
  Words command = train("run", {"--max-steps", "1", "--val", "3"});
  command[3] = "folder:" + place("parts");
  const Outcome refused = run(command);
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.last_error_line().find("--val 3, but the folder val"), std::string::npos)
      << refused.error;
  EXPECT_FALSE(fs::exists(folder_ / "run"));
  command.back() = "10";
  ASSERT_EQ(run(command).code, 0);
  EXPECT_EQ(run({BRANCHY, "train", "--resume", place("run")}).code, 0);
}

TEST_F(PhotoCommandTest, GreyFourInksAndSixteenBitsAreRead) {
  const SafetensorsFile golden(BRANCHY_PHOTO_GOLDEN_FILE);
  for (const auto& [name, extension] :
       {std::pair{"cmyk", ".jpg"}, std::pair{"ycck", ".jpg"}, std::pair{"png16", ".png"}}) {
    std::string bytes;
    const Tensor file = golden.tensor(std::string(name) + ".file");
    for (const float value : file.data()) bytes += static_cast<char>(value);
    test::write_file(photos() / kSomeClass / (name + std::string(extension)), bytes);
  }
  test::write_file(photos() / kSomeClass / "grey.pgm", text_of(test::sample_pgm()));
  const Outcome trained = run(train("run", {"--epochs", "1"}));
  ASSERT_EQ(trained.code, 0) << trained.error;
  EXPECT_EQ(evaluate(place("run"), {"--split", "all"})["samples"], 34);

  std::string unmarked = text_of(test::sample_jpeg());
  unmarked[unmarked.find("\xFF\xC0") + 9] = 4;
  test::write_file(photos() / kSomeClass / "unmarked.jpg", unmarked);
  const Outcome refused = run(train("unmarked", {"--epochs", "1"}));
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.last_error_line().find("CMYK"), std::string::npos) << refused.error;
}

TEST_F(PhotoCommandTest, BenchSaysWhatTakesTheTime) {
  const Outcome bench = run({BRANCHY, "data", "bench", "--data", data(), "--image-size", "24",
                             "--seconds", "0.1", "--json"});
  ASSERT_EQ(bench.code, 0) << bench.error;
  const json result = json::parse(bench.out);
  EXPECT_GT(result["images_per_second"].get<double>(), 0.0);
  ASSERT_EQ(result["stages"].size(), 5U);
  EXPECT_EQ(result["stages"][1]["stage"], "decode");
  EXPECT_EQ(result["stages"][2]["stage"], "random-resized-crop 24");
  expect_one_line(run({BRANCHY, "data", "bench", "--data", data(), "--augment", "mixup"}), 2,
                  "mixup");
}

}  // namespace
}  // namespace branchy
