// A real branchy-edge: its sources and outputs, and what it costs in memory and time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/threads.h"
#include "data/image.h"
#include "data/jpeg_images.h"
#include "infer/model.h"
#include "tests/infer/loopback.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::ChildProcess;
using test::read_text;
using test::wait_until;
using testing::HasSubstr;

namespace fs = std::filesystem;

constexpr auto kPatience = 90s;

class EdgeProcess : public testing::Test {
 protected:
  EdgeProcess() {
    set_num_threads(1);
    save(*test::lived_in_network(2), 2, false);
  }

  /// The part up to early exit `exit`, or the whole network cut there.
  void save(MultiExitNetwork& network, std::int64_t exit, bool full) const {
    ModelInfo info;
    info.config = network.config();
    info.mean = info.std = {0.5F, 0.5F, 0.5F};
    const std::int64_t cut = network.exit(exit).after_block;
    info.part = full ? network.whole() : NetworkPart{0, cut, 1, exit};
    info.cut = network.blocks()[static_cast<std::size_t>(cut - 1)].name;
    save_model(model(), network, info);
  }
  std::string model() const { return (directory_ / "edge.safetensors").string(); }
  std::string path(const std::string& name) const { return (directory_ / name).string(); }

  /// A picture that no two seeds share.
  static std::vector<std::uint8_t> jpeg(std::int64_t height, std::int64_t width, int seed) {
    Image image{.height = height, .width = width, .pixels = {}};
    image.pixels.reserve(static_cast<std::size_t>(3 * height * width));
    for (int channel = 0; channel < 3; ++channel)
      for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x)
          image.pixels.push_back(static_cast<std::uint8_t>(
              128 + 60 * std::sin(0.01 * static_cast<double>((seed % 7 + 1) * x) + channel) +
              60 * std::cos(0.02 * static_cast<double>((seed % 5 + 1) * y))));
    return encode_jpeg(image, 90);
  }
  static void write(const fs::path& file, const std::vector<std::uint8_t>& bytes) {
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  }
  /// Written aside and moved in, as a careful camera does.
  void drop(const std::string& name, int seed) const {
    write(directory_ / "aside.jpg", jpeg(40, 50, seed));
    fs::rename(directory_ / "aside.jpg", directory_ / "incoming" / name);
  }

  std::unique_ptr<ChildProcess> start(std::vector<std::string> options) const {
    options.insert(options.begin(),
                   {BRANCHY_EDGE, "--model", model(), "--threads", "1", "--threshold", "1"});
    return std::make_unique<ChildProcess>(options, directory_ / "edge.log");
  }
  std::string log() const { return read_text(directory_ / "edge.log"); }
  std::string printed() const { return read_text(directory_ / "edge.log.out"); }
  std::vector<json> lines(const std::string& text) const {
    std::vector<json> parsed;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) parsed.push_back(json::parse(line));
    return parsed;
  }
  static std::vector<std::string> names(const std::vector<json>& lines) {
    std::vector<std::string> found;
    for (const json& line : lines) {
      if (line.contains("file"))
        found.push_back(fs::path(line.at("file").get<std::string>()).filename());
    }
    return found;
  }
  testing::AssertionResult has_lines(const std::string& file, std::size_t count,
                                     ChildProcess& edge) const {
    const auto enough = [&] {
      const std::string text = read_text(file);
      return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) >= count;
    };
    if (wait_until([&] { return enough() || !edge.running(); }, kPatience) && enough())
      return testing::AssertionSuccess();
    return testing::AssertionFailure() << read_text(file) << log();
  }

  test::TemporaryDirectory directory_;
};

TEST_F(EdgeProcess, ClassifiesFilesAndFoldersInOrderAndNamesTheDamagedOne) {
  write(path("photos/b/2.jpg"), jpeg(30, 40, 1));
  write(path("photos/a/1.JPEG"), jpeg(30, 40, 2));
  write(path("photos/notes.txt"), {'x'});
  write(path("photos/a/broken.png"), {'x'});
  write(path("single.jpg"), jpeg(30, 40, 3));
  const auto edge = start({path("single.jpg"), path("photos"), "--json", "--deadline-ms", "60000"});
  EXPECT_EQ(edge->wait(kPatience), 1) << log();
  const std::vector<json> found = lines(printed());
  EXPECT_EQ(names(found), (std::vector<std::string>{"single.jpg", "1.JPEG", "2.jpg"}));
  EXPECT_THAT(log(), HasSubstr("broken.png"));
  const json& line = found.front();
  for (const char* stage : {"decode", "queue", "edge", "encode", "round_trip", "cloud", "total"})
    EXPECT_TRUE(line.at("times_ms").contains(stage)) << stage;
  EXPECT_EQ(line.at("degraded"), true);
  EXPECT_EQ(line.at("reason"), "no-cloud");
  EXPECT_EQ(line.at("retries"), 0);
  EXPECT_EQ(line.at("hedged"), false);
  EXPECT_EQ(line.at("where"), "edge");
}

TEST_F(EdgeProcess, AFullEdgeWithoutACloudGivesTheFinalExit) {
  save(*test::lived_in_network(2), 2, true);
  write(path("a.jpg"), jpeg(30, 40, 1));
  const auto edge = start({path("a.jpg"), "--json"});
  EXPECT_EQ(edge->wait(kPatience), 0) << log();
  EXPECT_EQ(lines(printed()).front().at("exit"), 3);
  EXPECT_EQ(lines(printed()).front().at("degraded"), false);
}

TEST_F(EdgeProcess, WrongUsageIsToldBeforeAnythingIsDone) {
  write(path("a.jpg"), jpeg(30, 40, 1));
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{path("a.jpg"), "--watch", path("")}, "--watch"},
      {{}, "one of --data, --watch or image files"},
      {{path("a.jpg"), "--hedge-ms", "5"}, "--full-edge"},
      {{path("a.jpg"), "--cloud-ca", "x.pem"}, "--cloud"},
      {{path("a.jpg"), "--unordered", "--one-by-one"}, "--one-by-one"}};
  for (const auto& [options, text] : cases) {
    EXPECT_EQ(start(options)->wait(kPatience), 2) << text;
    EXPECT_THAT(log(), HasSubstr(text));
  }
  fs::create_directory(path("empty"));
  EXPECT_EQ(start({path("empty")})->wait(kPatience), 2);
  EXPECT_THAT(log(), HasSubstr("no image files"));
}

TEST_F(EdgeProcess, WatchesAFolderUntilSigterm) {
  fs::create_directory(path("incoming"));
  drop("old.jpg", 1);
  const auto edge = start({"--watch", path("incoming"), "--out", path("out.jsonl")});
  ASSERT_TRUE(has_lines(path("out.jsonl"), 1, *edge));
  drop("new.jpg", 2);
  drop(".hidden.jpg", 3);
  write(path("incoming/broken.jpg"), {'x'});
  drop("newer.jpg", 4);
  ASSERT_TRUE(has_lines(path("out.jsonl"), 3, *edge));
  edge->signal(SIGTERM);
  EXPECT_EQ(edge->wait(kPatience), 0) << log();
  EXPECT_EQ(names(lines(read_text(path("out.jsonl")))),
            (std::vector<std::string>{"old.jpg", "new.jpg", "newer.jpg"}));
  EXPECT_THAT(log(), HasSubstr("broken.jpg"));
  EXPECT_THAT(printed(), HasSubstr("old.jpg: "));
  // A further run appends.
  const auto again = start({"--watch", path("incoming"), "--out", path("out.jsonl")});
  ASSERT_TRUE(has_lines(path("out.jsonl"), 6, *again));
  again->signal(SIGTERM);
  EXPECT_EQ(again->wait(kPatience), 0) << log();
}

TEST_F(EdgeProcess, AFullDiskLosesResultsOfAWatchedFolderButStopsNothing) {
  fs::create_directory(path("incoming"));
  for (int i = 0; i < 3; ++i) drop(std::to_string(i) + ".jpg", i);
  // The results' file is full, standard output is not.
  const auto edge = start({"--watch", path("incoming"), "--out", "/dev/full", "--json"});
  ASSERT_TRUE(has_lines(path("edge.log.out"), 3, *edge));
  edge->signal(SIGTERM);
  EXPECT_EQ(edge->wait(kPatience), 0) << log();
  const std::string text = log();
  const auto first = text.find("No space left on device");
  ASSERT_NE(first, std::string::npos) << text;
  EXPECT_EQ(text.find("No space left on device", first + 1), std::string::npos) << "said once";
}

TEST_F(EdgeProcess, ACloudThatStallsCostsNoMoreThanTheDeadline) {
  const test::FakePeer silent([](test::RawSocket& socket) { (void)socket.read_all(); });
  for (int i = 0; i < 8; ++i) write(path("photos/" + std::to_string(i) + ".jpg"), jpeg(30, 40, i));
  const auto edge = start({path("photos"), "--json", "--cloud",
                           "http://127.0.0.1:" + std::to_string(silent.port()), "--timeout-ms",
                           "300", "--deadline-ms", "500"});
  EXPECT_EQ(edge->wait(kPatience), 0) << log();
  const std::vector<json> found = lines(printed());
  ASSERT_EQ(found.size(), 9U) << "eight images and the summary";
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(found[i].at("degraded"), true);
    EXPECT_LT(found[i].at("times_ms").at("total"), 500 + 2000) << "late by computing at most";
  }
}

TEST_F(EdgeProcess, LinksNoTrainingCode) {
  for (const char* program : {BRANCHY_EDGE, BRANCHY_CLOUD}) {
    const std::string command = std::string("nm -C ") + program + " 2>&1";
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    ASSERT_NE(pipe, nullptr);
    std::string symbols;
    std::array<char, 65536> chunk;
    for (std::size_t got = 0; (got = std::fread(chunk.data(), 1, chunk.size(), pipe.get())) > 0;)
      symbols.append(chunk.data(), got);
    ASSERT_NE(symbols.find("branchy::ExitRunner"), std::string::npos)
        << program << " has no symbols to look at: " << symbols.substr(0, 200);
    for (const char* trained :
         {"branchy::Optimizer", "branchy::Sgd", "branchy::Trainer", "branchy::load_trained"})
      EXPECT_EQ(symbols.find(trained), std::string::npos) << program << " has " << trained;
  }
}

/// MobileNetV2 for photographs of 224 pixels with five early exits, cut at the last of them.
class SmallEdge : public EdgeProcess {
 protected:
  SmallEdge() {
    const auto network = test::lived_in_network(
        {.name = "mobilenet_v2", .classes = 17, .early_exits = 5, .options = {{"input", "224"}}});
    save(*network, 5, false);
    for (int i = 0; i < 4; ++i)
      write(path("incoming/" + std::to_string(i) + ".jpg"), jpeg(866, 1154, i));
    const std::vector<std::uint8_t> same = jpeg(1000, 1000, 4);
    for (int i = 4; i < 100; ++i) write(path("incoming/" + std::to_string(i) + ".jpg"), same);
  }
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
constexpr bool kIsRealBuild = false;  // sanitizers take memory, and both they and -O0 time
#else
constexpr bool kIsRealBuild = true;
#endif

TEST_F(SmallEdge, StaysBelow64MiBAfterAHundredPhotographsOfAMegapixel) {
  if (!kIsRealBuild) GTEST_SKIP() << "of a release build";
  // A cloud that refuses, so that its side of the program is there too.
  const auto edge = start({"--watch", path("incoming"), "--out", path("out.jsonl"), "--cloud",
                           "http://127.0.0.1:1", "--retries", "0"});
  ASSERT_TRUE(has_lines(path("out.jsonl"), 100, *edge));
  const std::string status = read_text("/proc/" + std::to_string(edge->id()) + "/status");
  const auto at = status.find("VmHWM:");
  ASSERT_NE(at, std::string::npos) << status;
  const std::int64_t peak_kib = std::stoll(status.substr(at + 6));
  RecordProperty("peak_kib", std::to_string(peak_kib));
  EXPECT_LT(peak_kib, 64 * 1024);
  edge->signal(SIGTERM);
  EXPECT_EQ(edge->wait(kPatience), 0) << log();
}

// The best of several starts: a loaded machine only adds to it. Measured 60 ms on one core of a
// Xeon (Sapphire Rapids); the limit leaves slower machines room.
TEST_F(SmallEdge, AnswersSoonAfterItsStart) {
  if (!kIsRealBuild) GTEST_SKIP() << "of a release build";
  auto best = std::chrono::steady_clock::duration::max();
  for (int i = 0; i < 10; ++i) {
    const auto start_time = std::chrono::steady_clock::now();
    const auto edge = start({path("incoming/0.jpg")});
    ASSERT_EQ(edge->wait(kPatience), 0) << log();
    best = std::min(best, std::chrono::steady_clock::now() - start_time);
  }
  const double ms = std::chrono::duration<double, std::milli>(best).count();
  RecordProperty("best_ms", std::to_string(ms));
  EXPECT_LT(ms, 150);
}

}  // namespace
}  // namespace branchy
