// A real branchy-edge and a real branchy-cloud over loopback, on synthetic data and random weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/threads.h"
#include "data/dataset.h"
#include "data/synth.h"
#include "infer/adapt_table.h"
#include "infer/batch_prediction.h"
#include "infer/exit_runner.h"
#include "infer/layer_times.h"
#include "infer/model.h"
#include "infer/pixel_input.h"
#include "infer/policies/max_probability.h"
#include "infer/policies/policy_record.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using test::ChildProcess;
using test::read_text;
using test::wait_until;

constexpr std::int64_t kNumImages = 60;
// Enough that a process is still at work when a signal reaches it.
constexpr std::int64_t kManyImages = 500;
// Patience with a program on a loaded machine; a hang is what the tests look for.
constexpr auto kPatience = 90s;

class SplitProcess : public testing::Test {
 protected:
  void SetUp() override {
    set_num_threads(1);  // two threads that spin on a busy machine take minutes
    write_data(kNumImages);
    save_all(2);
  }

  /// Both sides, cut at an early exit, and the whole network.
  void save_all(std::int64_t exit) {
    const std::int64_t cut = network_->exit(exit).after_block;
    const NetworkPart whole = network_->whole();
    save("edge", {0, cut, 1, exit}, cut);
    save("cloud", {0, whole.end_block, exit + 1, 3}, cut);
    save("whole", whole, 0);
  }

  void write_data(std::int64_t num_images) {
    write_synth_dataset(directory_ / "data",
                        {.num_train = 50, .num_test = num_images, .seed = 3, .threads = 1});
  }

  void save(const std::string& name, const NetworkPart& part, std::int64_t cut) {
    ModelInfo info;
    info.config = network_->config();
    info.part = part;
    info.mean = kCifar10Normalization.mean;
    info.std = kCifar10Normalization.std;
    info.temperatures = temperatures_;
    info.records = records_;
    if (cut > 0) info.cut = network_->blocks()[static_cast<std::size_t>(cut - 1)].name;
    save_model(model(name), *network_, info);
  }

  std::string model(const std::string& name) const {
    return (directory_ / (name + ".safetensors")).string();
  }
  std::string data() const { return "cifar10:" + (directory_ / "data").string(); }

  std::unique_ptr<ChildProcess> start_cloud() {
    const auto port_file = directory_ / "port";
    std::filesystem::remove(port_file);
    auto cloud = std::make_unique<ChildProcess>(
        std::vector<std::string>{BRANCHY_CLOUD, "--model", model("cloud"), "--port", "0",
                                 "--port-file", port_file.string(), "--threads", "1",
                                 "--log-requests"},
        directory_ / "cloud.log");
    const bool ready = wait_until(
        [&] { return std::filesystem::exists(port_file) || !cloud->running(); }, kPatience);
    if (ready && cloud->running()) port_ = std::stoi(read_text(port_file));
    EXPECT_NE(port_, 0) << read_text(directory_ / "cloud.log");
    return cloud;
  }

  std::unique_ptr<ChildProcess> start_edge(const std::string& threshold) {
    return start_edge(std::vector<std::string>{"--threshold", threshold});
  }
  std::unique_ptr<ChildProcess> start_edge(const std::vector<std::string>& options) {
    std::vector<std::string> words{BRANCHY_EDGE,
                                   "--model",
                                   model("edge"),
                                   "--cloud",
                                   "http://127.0.0.1:" + std::to_string(port_),
                                   "--data",
                                   data(),
                                   "--out",
                                   (directory_ / "results.jsonl").string(),
                                   "--threads",
                                   "1",
                                   "--timeout-ms",
                                   "20000",
                                   "--json"};
    words.insert(words.end(), options.begin(), options.end());
    return std::make_unique<ChildProcess>(words, directory_ / "edge.log");
  }

  /// Waits until the cloud has answered a few requests.
  testing::AssertionResult cloud_is_at_work() const {
    const bool at_work = wait_until(
        [&] {
          const std::string log = read_text(directory_ / "cloud.log");
          return std::count(log.begin(), log.end(), '\n') >= 4;
        },
        kPatience);
    if (at_work) return testing::AssertionSuccess();
    return testing::AssertionFailure() << read_text(directory_ / "cloud.log") << edge_log();
  }

  std::vector<nlohmann::json> results() const {
    std::istringstream lines(read_text(directory_ / "results.jsonl"));
    std::vector<nlohmann::json> parsed;
    for (std::string line; std::getline(lines, line);)
      parsed.push_back(nlohmann::json::parse(line));
    return parsed;
  }

  std::string edge_log() const { return read_text(directory_ / "edge.log"); }

  /// What every exit of the whole network says of every image.
  std::vector<std::vector<Prediction>> local_predictions() const {
    const ServedModel whole = load_served_model(model("whole"));
    const auto dataset = open_dataset(data(), DatasetSplit::kTest);
    ExitRunner runner(whole.plan);
    std::vector<std::uint8_t> pixels(3072);
    std::vector<std::vector<Prediction>> all;
    for (std::int64_t i = 0; i < dataset->size(); ++i) {
      dataset->read(i, pixels);
      runner.start(normalize_pixels(pixels, *whole.image_shape, whole.info));
      auto& image = all.emplace_back();
      while (runner.has_next()) {
        const ExitOutput output = runner.next_exit();
        image.push_back(
            predict_all(output.exit, output.logits, whole.info.temperature(output.exit))[0]);
      }
    }
    return all;
  }

  test::TemporaryDirectory directory_;
  std::unique_ptr<MultiExitNetwork> network_ = test::lived_in_network(2);
  std::vector<float> temperatures_;
  std::map<std::string, std::string> records_;
  int port_ = 0;
};

/// The middle confidence of exit `index`, so that about half of the images leave there.
float median_confidence(const std::vector<std::vector<Prediction>>& all, std::size_t index) {
  std::vector<float> values;
  for (const auto& image : all) values.push_back(image[index].confidence);
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

bool on_the_edge(const std::vector<Prediction>& image, const std::vector<float>& thresholds) {
  for (std::size_t i = 0; i < thresholds.size(); ++i)
    if (std::abs(image[i].confidence - thresholds[i]) < 1e-5F) return true;
  return false;
}

TEST_F(SplitProcess, AnswersLikeTheWholeNetworkInOneProcess) {
  const auto expected = local_predictions();
  const std::vector<float> thresholds{median_confidence(expected, 0),
                                      median_confidence(expected, 1)};
  const auto cloud = start_cloud();
  const auto edge = start_edge(std::to_string(thresholds[0]) + "," + std::to_string(thresholds[1]));
  ASSERT_EQ(edge->wait(kPatience), 0) << edge_log();
  const auto lines = results();
  ASSERT_EQ(lines.size(), expected.size());
  std::array<int, 4> taken{};
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (on_the_edge(expected[i], thresholds)) continue;
    std::size_t exit = 0;
    while (exit < thresholds.size() && !should_exit(expected[i][exit].confidence, thresholds[exit]))
      ++exit;
    EXPECT_EQ(lines[i].at("exit"), exit + 1) << lines[i];
    EXPECT_EQ(lines[i].at("class"), expected[i][exit].label) << lines[i];
    EXPECT_NEAR(lines[i].at("confidence").get<float>(), expected[i][exit].confidence, 1e-5);
    EXPECT_EQ(lines[i].at("where"), exit == 2 ? "cloud" : "edge") << lines[i];
    EXPECT_EQ(lines[i].at("degraded"), false) << lines[i];
    ++taken[exit + 1];
  }
  for (std::size_t exit = 1; exit <= 3; ++exit) EXPECT_GT(taken[exit], 0) << "exit " << exit;
  cloud->signal(SIGTERM);
  EXPECT_EQ(cloud->wait(kPatience), 0) << read_text(directory_ / "cloud.log");
}

TEST_F(SplitProcess, TheModelsOwnPolicyAndTemperaturesHoldOnBothSides) {
  temperatures_ = {30.0F, 20.0F, 50.0F};
  ModelInfo info;
  write_policy_record(info, {.text = "p-tar:0.9",
                             .choice = "budget",
                             .select_on = "val",
                             .data_checksum = "c",
                             .cache_digest = "d",
                             .subset = "1/1",
                             .temperatures = temperatures_});
  records_ = info.records;
  for (const std::int64_t cut_exit : {1, 2}) {
    save_all(cut_exit);
    const auto expected = local_predictions();
    const auto cloud = start_cloud();
    const auto edge = start_edge(std::vector<std::string>{});
    ASSERT_EQ(edge->wait(kPatience), 0) << edge_log();
    const auto lines = results();
    ASSERT_EQ(lines.size(), expected.size());
    std::array<int, 4> taken{};
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (on_the_edge(expected[i], {0.9F, 0.9F})) continue;
      std::size_t exit = 0;
      while (exit < 2 && !should_exit(expected[i][exit].confidence, 0.9F)) ++exit;
      const bool sure = should_exit(expected[i][exit].confidence, 0.9F);
      const Prediction& answer = sure ? expected[i][exit] : most_confident(expected[i]);
      EXPECT_EQ(lines[i].at("exit"), answer.exit) << lines[i];
      EXPECT_EQ(lines[i].at("class"), answer.label) << lines[i];
      EXPECT_NEAR(lines[i].at("confidence").get<float>(), answer.confidence, 1e-5);
      EXPECT_EQ(lines[i].value("last_exit", answer.exit), exit + 1) << lines[i];
      ++taken[exit + 1];
    }
    EXPECT_GT(taken[3], 0);
    cloud->signal(SIGTERM);
    EXPECT_EQ(cloud->wait(kPatience), 0);
  }
}

TEST_F(SplitProcess, AdaptTakesThePolicyOfTheBandwidth) {
  ModelInfo info;
  AdaptTable({{.bits_per_second = 1e3, .policy = "fixed:1"},
              {.bits_per_second = 1e5, .policy = "fixed:3"}},
             30)
      .store(info);
  records_ = info.records;
  save_all(2);
  const auto cloud = start_cloud();
  const auto fast = start_edge(std::vector<std::string>{"--adapt"});
  ASSERT_EQ(fast->wait(kPatience), 0) << edge_log();
  for (const auto& line : results()) {
    EXPECT_EQ(line.at("policy"), "fixed:3") << "loopback is faster than that";
    EXPECT_GT(line.at("bits_per_second").get<double>(), 1e5);
    EXPECT_EQ(line.at("where"), "cloud");
  }
  const auto summary = nlohmann::json::parse(read_text(directory_ / "edge.log.out"));
  EXPECT_EQ(summary.at("policies"), (nlohmann::json{{"fixed:3", kNumImages}}));
  EXPECT_GT(summary.at("link").at("round_trip_ms").get<double>(), 0);
  EXPECT_GT(summary.at("link").at("probe_bytes").get<std::int64_t>(), 4096);
  const auto slow = start_edge({"--adapt", "--bandwidth-mbit", "0.05"});
  ASSERT_EQ(slow->wait(kPatience), 0) << edge_log();
  for (const auto& line : results()) {
    EXPECT_EQ(line.at("policy"), "fixed:1");
    EXPECT_EQ(line.at("where"), "edge");
    EXPECT_EQ(line.at("bits_per_second"), 5e4);
  }
  records_.clear();
  save_all(2);
  const auto none = start_edge(std::vector<std::string>{"--adapt"});
  EXPECT_EQ(none->wait(kPatience), 2) << edge_log();
}

TEST_F(SplitProcess, MeasureWritesTheTimesOfEachSidesParts) {
  const auto measure = [&](const char* program, const std::string& side) {
    const auto file = directory_ / (side + ".json");
    ChildProcess process({program, "--model", model(side), "--threads", "1", "--repeat", "3",
                          "--measure", file.string()},
                         directory_ / "measure.log");
    EXPECT_EQ(process.wait(kPatience), 0) << read_text(directory_ / "measure.log");
    return load_layer_times(file);
  };
  ChildProcess without_file({BRANCHY_EDGE, "--model", model("edge"), "--measure", "--threads", "1"},
                            directory_ / "measure.log");
  EXPECT_EQ(without_file.wait(kPatience), 2) << "a flag is no file";
  const LayerTimes edge = measure(BRANCHY_EDGE, "edge");
  const auto cut = static_cast<std::size_t>(network_->exit(2).after_block);
  EXPECT_EQ(edge.network, "resnet44");
  EXPECT_EQ(edge.runs, 3);
  ASSERT_EQ(edge.blocks.size(), cut);
  EXPECT_EQ(edge.blocks.back().name, network_->blocks()[cut - 1].name);
  EXPECT_EQ(edge.exits.size(), 2U);
  ASSERT_EQ(edge.trunk.size(), 2U);
  for (const auto& block : edge.blocks) EXPECT_GT(block.ms, 0) << block.name;
  const LayerTimes cloud = measure(BRANCHY_CLOUD, "cloud");
  EXPECT_EQ(cloud.blocks.size(), network_->blocks().size());
  EXPECT_EQ(cloud.trunk.size(), 3U);
  ASSERT_EQ(cloud.exits.size(), 1U);
  EXPECT_TRUE(cloud.exits.contains(3));
}

TEST_F(SplitProcess, AKilledCloudLeavesDegradedAnswers) {
  write_data(kManyImages);
  const auto cloud = start_cloud();
  const auto edge = start_edge("1");
  ASSERT_TRUE(cloud_is_at_work());
  cloud->signal(SIGKILL);
  ASSERT_EQ(edge->wait(kPatience), 0) << edge_log();
  const auto lines = results();
  ASSERT_EQ(lines.size(), static_cast<std::size_t>(kManyImages));
  const auto all = local_predictions();
  std::int64_t degraded = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].at("degraded").get<bool>()) continue;
    ++degraded;
    const std::span<const Prediction> computed(all[i].data(), 2);
    EXPECT_EQ(lines[i].at("exit"), most_confident(computed).exit) << lines[i];
    EXPECT_EQ(lines[i].at("class"), most_confident(computed).label) << lines[i];
  }
  EXPECT_GT(degraded, 0);
  EXPECT_LT(degraded, kManyImages);
  EXPECT_NE(edge_log().find("without the cloud"), std::string::npos) << edge_log();
}

TEST_F(SplitProcess, ACloudThatWasNeverThereDoesNotStopTheEdge) {
  port_ = 1;  // nobody listens there
  const auto edge = start_edge("1");
  ASSERT_EQ(edge->wait(kPatience), 0) << edge_log();
  const auto lines = results();
  ASSERT_EQ(lines.size(), static_cast<std::size_t>(kNumImages));
  for (const auto& line : lines) EXPECT_EQ(line.at("degraded"), true) << line;
}

TEST_F(SplitProcess, SigtermStopsTheEdgeWithItsResultsKept) {
  write_data(kManyImages);
  const auto cloud = start_cloud();
  const auto edge = start_edge("1");
  ASSERT_TRUE(cloud_is_at_work());
  edge->signal(SIGTERM);
  ASSERT_EQ(edge->wait(kPatience), 0) << edge_log();
  EXPECT_GE(results().size(), 1U);
  EXPECT_LT(results().size(), static_cast<std::size_t>(kManyImages));
}

}  // namespace
}  // namespace branchy
