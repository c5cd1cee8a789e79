// A real network split between EdgeEngine and PlanBackend over a real socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "core/threads.h"
#include "infer/cloud_service.h"
#include "infer/edge_engine.h"
#include "infer/pixel_input.h"
#include "infer/plan_backend.h"
#include "infer/policies/max_probability.h"
#include "tests/infer/loopback.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using std::chrono::milliseconds;
using Pixels = std::vector<std::uint8_t>;

constexpr int kNumImages = 12;

class SplitServiceTest : public testing::Test {
 protected:
  SplitServiceTest() : network_(test::lived_in_network(2)) {
    set_num_threads(1);  // edge and cloud share this process
    cut_ = network_->exit(2).after_block;
    // Smaller scores, so that no exit is sure to the last bit and threshold 1 holds all back.
    for (StateEntry& entry : network_->state()) {
      if (entry.variable->shape().rank() != 2) continue;
      for (float& value : entry.variable->mutable_value().mutable_data()) value *= 0.05F;
    }
    Rng rng(3);
    for (int i = 0; i < kNumImages; ++i) {
      Pixels image(3 * 32 * 32);
      for (std::uint8_t& pixel : image) pixel = static_cast<std::uint8_t>(rng.below(256));
      images_.push_back(std::move(image));
    }
  }

  ServedModel served(const NetworkPart& part, bool cut = true) {
    ModelInfo info;
    info.config = network_->config();
    info.part = part;
    info.mean = {0.5F, 0.4F, 0.3F};
    info.std = {0.25F, 0.3F, 0.2F};
    if (cut) info.cut = network_->blocks()[static_cast<std::size_t>(cut_ - 1)].name;
    const auto path = directory_ / "model.safetensors";
    save_model(path, *network_, info);
    return load_served_model(path);
  }
  ServedModel edge_model() { return served({0, cut_, 1, 2}); }
  ServedModel cloud_model(bool suffix_only) {
    return served({suffix_only ? cut_ : 0, std::ssize(network_->blocks()), 3, 3});
  }
  void serve(ServedModel model) {
    service_.set_backend(std::make_shared<PlanBackend>(std::move(model), 4));
    server_ = std::make_unique<HttpServer>(HttpServerOptions{}, service_.quick_handler(),
                                           service_.handler());
    server_->start();
  }
  static PolicyPtr policy_of(std::vector<float> thresholds) {
    return std::make_shared<MaxProbabilityPolicy>(ExitThresholds(std::move(thresholds), 2));
  }
  EdgeEngine engine(int port, std::vector<float> thresholds, bool cloud_only = false,
                    milliseconds timeout = milliseconds(10000)) {
    ServedModel model = edge_model();
    auto cloud =
        std::make_unique<CloudClient>(HttpUrl{"127.0.0.1", port}, cloud_model_for(model), timeout);
    return {std::move(model),
            std::move(cloud),
            {.policy = policy_of(std::move(thresholds)), .cloud_only = cloud_only},
            [this](const std::string& text) { warnings_.push_back(text); }};
  }
  // Predictions of all exits of the unsplit plan.
  std::vector<std::vector<Prediction>> reference() {
    const ServedModel whole = served(network_->whole(), false);
    ExitRunner runner(whole.plan);
    std::vector<std::vector<Prediction>> all;
    for (const Pixels& image : images_) {
      runner.start(normalize_pixels(image, *whole.image_shape, whole.info));
      std::vector<Prediction> exits;
      while (runner.has_next()) {
        const ExitOutput output = runner.next_exit();
        exits.push_back(predict(output.exit, output.logits.data()));
      }
      all.push_back(std::move(exits));
    }
    return all;
  }
  static float median_confidence(const std::vector<std::vector<Prediction>>& all,
                                 std::size_t exit) {
    std::vector<float> confidences;
    for (const auto& exits : all) confidences.push_back(exits[exit].confidence);
    std::sort(confidences.begin(), confidences.end());
    return confidences[confidences.size() / 2];
  }
  static void expect_same(const Prediction& found, const Prediction& expected) {
    EXPECT_EQ(found.exit, expected.exit);
    EXPECT_EQ(found.label, expected.label);
    EXPECT_EQ(found.confidence, expected.confidence);
  }

  test::TemporaryDirectory directory_;
  std::unique_ptr<MultiExitNetwork> network_;
  std::int64_t cut_ = 0;
  std::vector<Pixels> images_;
  std::vector<std::string> warnings_;
  CloudService service_{{.batching = {.on_worker_start = [] { set_num_threads(1); }}}};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(SplitServiceTest, GivesWhatTheUnsplitPlanGivesBitForBit) {
  const auto expected = reference();
  serve(cloud_model(true));
  const std::vector<float> thresholds = {median_confidence(expected, 0),
                                         median_confidence(expected, 1)};
  EdgeEngine edge = engine(server_->port(), thresholds);
  std::vector<int> num_by_exit(4);
  for (std::size_t i = 0; i < images_.size(); ++i) {
    const EdgeOutcome outcome = edge.classify(images_[i]);
    std::size_t exit = 0;
    while (exit < 2 && expected[i][exit].confidence < thresholds[exit]) ++exit;
    expect_same(outcome.prediction, expected[i][exit]);
    EXPECT_EQ(outcome.from_cloud, exit == 2);
    EXPECT_EQ(outcome.bytes_sent > 0, exit == 2);
    EXPECT_FALSE(outcome.degraded);
    ++num_by_exit[exit + 1];
  }
  EXPECT_GT(num_by_exit[1], 0);
  EXPECT_GT(num_by_exit[3], 0) << "no image reached the cloud";
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(SplitServiceTest, CloudOnlyGivesTheFinalExit) {
  const auto expected = reference();
  serve(cloud_model(false));
  EdgeEngine edge = engine(server_->port(), {0, 0}, true);
  for (std::size_t i = 0; i < images_.size(); ++i) {
    const EdgeOutcome outcome = edge.classify(images_[i]);
    EXPECT_TRUE(outcome.from_cloud);
    EXPECT_EQ(outcome.edge_ms, 0);
    expect_same(outcome.prediction, expected[i][2]);
  }
  EdgeEngine both = engine(server_->port(), {1, 1});
  expect_same(both.classify(images_[0]).prediction, expected[0][2]);
}

TEST_F(SplitServiceTest, BatchesLeaveRowByRow) {
  const auto expected = reference();
  PlanBackend backend(served(network_->whole(), false), 4);
  const std::vector<float> thresholds = {median_confidence(expected, 0),
                                         median_confidence(expected, 1)};
  Pixels batch;
  for (std::size_t i = 0; i < 4; ++i)
    batch.insert(batch.end(), images_[i].begin(), images_[i].end());
  InferRequest request;
  request.inputs.push_back(uint8_tensor("image", {4, 3, 32, 32}, batch));
  request.parameters["thresholds"] = std::to_string(thresholds[0]) + ",0";
  const InferResponse response = backend.infer(request);
  const std::vector<std::int32_t> exits = int32_values(response.outputs.at(1));
  const std::vector<float> confidences = fp32_values(response.outputs.at(2));
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t exit =
        expected[i][0].confidence >= std::stof(std::to_string(thresholds[0])) ? 0 : 1;
    EXPECT_EQ(exits[i], expected[i][exit].exit);
    EXPECT_NEAR(confidences[i], expected[i][exit].confidence, 1e-5);
  }
  request.parameters["thresholds"] = std::string("2");
  EXPECT_THROW(backend.infer(request), HttpError);
  request.parameters["thresholds"] = std::string("0.1,0.2,0.3");
  EXPECT_THROW(backend.infer(request), HttpError);
  request.inputs[0].shape[0] = 5;
  EXPECT_THROW(backend.infer(request), HttpError);
}

TEST_F(SplitServiceTest, WithoutTheCloudTheMostConfidentExitAnswers) {
  const auto expected = reference();
  int port = 0;
  {
    const test::FakePeer gone([](test::RawSocket&) {});
    port = gone.port();
  }
  for (const bool cloud_only : {false, true}) {
    warnings_.clear();
    EdgeEngine edge = engine(port, {1, 1}, cloud_only);
    for (std::size_t i = 0; i < images_.size(); ++i) {
      const EdgeOutcome outcome = edge.classify(images_[i]);
      EXPECT_TRUE(outcome.degraded);
      EXPECT_FALSE(outcome.from_cloud);
      // On a slow machine the pause may be over before the last image.
      if (i < 3 || outcome.reason != "paused") {
        EXPECT_EQ(outcome.reason, "refused");
      }
      expect_same(outcome.prediction,
                  expected[i][expected[i][1].confidence > expected[i][0].confidence ? 1 : 0]);
    }
    ASSERT_EQ(warnings_.size(), 1U) << "said once";
    EXPECT_THAT(warnings_[0], testing::HasSubstr("degraded"));
  }
}

TEST_F(SplitServiceTest, AHangingCloudCostsABoundedTime) {
  const test::FakePeer silent([](test::RawSocket& socket) { (void)socket.read_all(); });
  EdgeEngine edge = engine(silent.port(), {1, 1}, false, milliseconds(100));
  const auto start = std::chrono::steady_clock::now();
  for (const Pixels& image : images_) EXPECT_TRUE(edge.classify(image).degraded);
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(100 * kNumImages + 5000))
      << "each time-out is kept";
}

TEST(CircuitBreaker, PausesLongerWithEachFailedTrialAndForgetsAtSuccess) {
  const auto at = [](int ms) { return CircuitBreaker::Clock::time_point(milliseconds(ms)); };
  CircuitBreaker breaker(milliseconds(100), milliseconds(300));
  breaker.failed(at(1000));
  breaker.failed(at(1000));
  EXPECT_TRUE(breaker.allows(at(1000)));
  breaker.failed(at(1000));
  EXPECT_FALSE(breaker.allows(at(1099)));
  EXPECT_TRUE(breaker.allows(at(1100)));
  breaker.failed(at(1100));
  EXPECT_FALSE(breaker.allows(at(1299)));
  breaker.failed(at(1300));
  EXPECT_FALSE(breaker.allows(at(1599)));
  EXPECT_TRUE(breaker.allows(at(1600))) << "never longer than the longest pause";
  breaker.succeeded();
  breaker.failed(at(1700));
  EXPECT_TRUE(breaker.allows(at(1700)));
}

TEST_F(SplitServiceTest, AnEdgeFileIsNoCloudFile) {
  EXPECT_THROW(PlanBackend(edge_model(), 4), ConfigError);
  EXPECT_THROW(EdgeEngine(cloud_model(true), nullptr, {.policy = policy_of({0.5F})}, {}),
               ConfigError);
}

}  // namespace
}  // namespace branchy
