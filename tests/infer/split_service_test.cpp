// A real network split between EdgePipeline and PlanBackend over a real socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/infer/loopback.h"
#include "tests/infer/split_fixture.h"

namespace branchy {
namespace {

using std::chrono::milliseconds;

class SplitServiceTest : public test::SplitFixture {};

TEST_F(SplitServiceTest, GivesWhatTheUnsplitPlanGivesBitForBit) {
  const auto expected = reference();
  serve(cloud_model(true));
  const std::vector<float> thresholds = {median_confidence(expected, 0),
                                         median_confidence(expected, 1)};
  EdgePipeline edge(edge_model(), link(server_->port()), by(thresholds));
  std::vector<int> num_by_exit(4);
  for (std::size_t i = 0; i < images_.size(); ++i) {
    const EdgeOutcome outcome = edge.classify({.pixels = images_[i]});
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
  EdgePipelineOptions options = by({0, 0});
  options.engine.cloud_only = true;
  EdgePipeline edge(edge_model(), link(server_->port()), std::move(options));
  for (std::size_t i = 0; i < images_.size(); ++i) {
    const EdgeOutcome outcome = edge.classify({.pixels = images_[i]});
    EXPECT_TRUE(outcome.from_cloud);
    EXPECT_EQ(outcome.edge_ms, 0);
    expect_same(outcome.prediction, expected[i][2]);
  }
  EdgePipeline both(edge_model(), link(server_->port()), all_to_the_cloud());
  expect_same(both.classify({.pixels = images_[0]}).prediction, expected[0][2]);
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
    EdgePipelineOptions options = all_to_the_cloud();
    options.engine.cloud_only = cloud_only;
    EdgePipeline edge(edge_model(), link(port), std::move(options));
    for (std::size_t i = 0; i < images_.size(); ++i) {
      const EdgeOutcome outcome = edge.classify({.pixels = images_[i]});
      EXPECT_TRUE(outcome.degraded);
      EXPECT_FALSE(outcome.from_cloud);
      // On a slow machine the pause may be over before the last image.
      if (i < 3 || outcome.reason != "paused") {
        EXPECT_EQ(outcome.reason, "refused");
      }
      expect_same(outcome.prediction, most_confident_early(expected[i]));
    }
    ASSERT_EQ(warnings_.size(), 1U) << "said once";
    EXPECT_THAT(warnings_[0], testing::HasSubstr("answering without the cloud"));
  }
}

TEST_F(SplitServiceTest, AHangingCloudCostsABoundedTime) {
  const test::FakePeer silent([](test::RawSocket& socket) { (void)socket.read_all(); });
  EdgePipeline edge(edge_model(), link(silent.port(), 1, 0, milliseconds(100)), all_to_the_cloud());
  const auto start = std::chrono::steady_clock::now();
  for (const Pixels& image : images_) EXPECT_TRUE(edge.classify({.pixels = image}).degraded);
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(100 * kNumImages + 5000))
      << "each time-out is kept";
}

TEST_F(SplitServiceTest, AnEdgeFileIsNoCloudFile) {
  EXPECT_THROW(PlanBackend(edge_model(), 4), ConfigError);
  EXPECT_THROW(EdgePipeline(cloud_model(true), nullptr, all_to_the_cloud()), ConfigError);
}

}  // namespace
}  // namespace branchy
