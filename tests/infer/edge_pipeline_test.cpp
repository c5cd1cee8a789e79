// EdgePipeline against a cloud that answers, hesitates or fails as told.
#include "infer/edge_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "core/error.h"
#include "infer/edge_exit_report.h"
#include "infer/request_deadline.h"
#include "tests/infer/certificates.h"
#include "tests/infer/loopback.h"
#include "tests/infer/split_fixture.h"
#include "tests/support/child_process.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class EdgePipelineTest : public test::SplitFixture {
 protected:
  // Whoever is held back must be let go before the server ends.
  ~EdgePipelineTest() override { gate_.open(); }

  /// A cloud that answers nobody before the gate is open.
  void serve_behind_gate() {
    serve(cloud_model(true), [this](const HttpRequest&) {
      gate_.pass();
      return std::nullopt;
    });
  }
  static testing::AssertionResult eventually(const std::function<bool()>& condition) {
    if (test::wait_until(condition, 60s)) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "not within a minute";
  }

  test::Gate gate_;
};

TEST_F(EdgePipelineTest, ManyAtOnceGetWhatEachGetsAlone) {
  const auto expected = reference();
  serve(cloud_model(true));
  const std::vector<float> thresholds = {median_confidence(expected, 0),
                                         median_confidence(expected, 1)};
  EdgePipeline edge(edge_model(), link(server_->port(), 3), by(thresholds));
  const std::vector<EdgeOutcome> outcomes = submit_all(edge);
  int num_from_cloud = 0;
  for (std::size_t i = 0; i < images_.size(); ++i) {
    std::size_t exit = 0;
    while (exit < 2 && expected[i][exit].confidence < thresholds[exit]) ++exit;
    expect_same(outcomes[i].prediction, expected[i][exit]);
    EXPECT_FALSE(outcomes[i].degraded);
    num_from_cloud += outcomes[i].from_cloud ? 1 : 0;
  }
  EXPECT_GT(num_from_cloud, 2);
}

TEST_F(EdgePipelineTest, ComputesWhileAnotherImageIsOnTheWire) {
  const auto expected = reference();
  const float threshold = median_confidence(expected, 0);
  const auto leaves = [&](const auto& exits) { return exits[0].confidence >= threshold; };
  const auto easy = std::find_if(expected.begin(), expected.end(), leaves) - expected.begin();
  const auto hard = std::find_if_not(expected.begin(), expected.end(), leaves) - expected.begin();
  serve_behind_gate();
  EdgePipeline edge(edge_model(), link(server_->port(), 1), by({threshold, 1}));
  std::atomic<bool> is_answered = false;
  edge.submit({.pixels = images_[static_cast<std::size_t>(hard)]},
              [&](const EdgeOutcome& outcome) { is_answered = outcome.from_cloud; });
  gate_.wait_for(1);
  const EdgeOutcome outcome = edge.classify({.pixels = images_[static_cast<std::size_t>(easy)]});
  EXPECT_EQ(outcome.prediction.exit, 1);
  EXPECT_FALSE(is_answered);
  EXPECT_EQ(edge.status().in_flight, 1U);
  gate_.open();
  edge.drain();
  EXPECT_TRUE(is_answered);
}

TEST_F(EdgePipelineTest, AFullPipelineHoldsTheSourceBack) {
  serve_behind_gate();
  EdgePipelineOptions options = all_to_the_cloud();
  options.queue = 2;
  EdgePipeline edge(edge_model(), link(server_->port(), 1), std::move(options));
  std::atomic<int> num_answered = 0;
  const EdgePipeline::Done count = [&](const EdgeOutcome& outcome) {
    if (outcome.from_cloud) ++num_answered;
  };
  // One at the cloud, two that wait for it, two that wait for their computing.
  for (std::size_t i = 0; i < 3; ++i) edge.submit({.pixels = images_[i]}, count);
  ASSERT_TRUE(eventually([&] { return edge.status().waiting == 2; }));
  for (std::size_t i = 3; i < 5; ++i) edge.submit({.pixels = images_[i]}, count);
  EdgeImage sixth{.pixels = images_[5]};
  EdgePipeline::Done done = count;
  EXPECT_FALSE(edge.try_submit(sixth, done));
  EXPECT_EQ(sixth.pixels, images_[5]) << "a refused image is left to its owner";
  EXPECT_EQ(edge.status().queued, 2U);
  EXPECT_EQ(edge.status().in_flight, 1U);
  gate_.open();
  edge.drain();
  EXPECT_EQ(num_answered, 5);
  EXPECT_TRUE(edge.try_submit(sixth, done));
  edge.drain();
  EXPECT_EQ(num_answered, 6);
}

TEST_F(EdgePipelineTest, EveryImageIsAnsweredByItsDeadlineWhenTheCloudStalls) {
  const auto expected = reference();
  serve_behind_gate();
  EdgePipelineOptions options = all_to_the_cloud();
  options.deadline = 300ms;
  options.queue = 3;
  EdgePipeline edge(edge_model(), link(server_->port(), 2, 3, 60s), std::move(options));
  const std::vector<EdgeOutcome> outcomes = submit_all(edge);
  for (std::size_t i = 0; i < images_.size(); ++i) {
    EXPECT_TRUE(outcomes[i].degraded);
    EXPECT_THAT(outcomes[i].reason, testing::AnyOf("timeout", "deadline", "paused"));
    EXPECT_LT(outcomes[i].total_ms, 300 + 2000) << "a loaded machine is slow, a stall is 60 s";
    if (outcomes[i].last_exit == 2)
      expect_same(outcomes[i].prediction, most_confident_early(expected[i]));
    else
      expect_same(outcomes[i].prediction, expected[i][0]);
  }
  EXPECT_EQ(outcomes[0].reason, "timeout");
}

TEST_F(EdgePipelineTest, AnImageThatCameTooLateGetsItsFirstExit) {
  const auto expected = reference();
  EdgePipeline edge(edge_model(), nullptr, all_to_the_cloud());
  const EdgeOutcome outcome = edge.classify({.pixels = images_[0], .deadline = Clock::now() - 1ms});
  EXPECT_TRUE(outcome.degraded);
  EXPECT_EQ(outcome.reason, "deadline");
  EXPECT_EQ(outcome.last_exit, 1);
  expect_same(outcome.prediction, expected[0][0]);
  const EdgeOutcome in_time = edge.classify({.pixels = images_[0], .deadline = Clock::now() + 60s});
  EXPECT_EQ(in_time.reason, "no-cloud");
  EXPECT_EQ(in_time.last_exit, 2);
}

TEST_F(EdgePipelineTest, DecodingCountsForTheDeadline) {
  EdgePipelineOptions options = all_to_the_cloud();
  options.deadline = 60s;
  EdgePipeline edge(edge_model(), nullptr, std::move(options));
  EXPECT_EQ(edge.classify({.pixels = images_[0], .decode_ms = 61'000}).reason, "deadline");
  EXPECT_EQ(edge.classify({.pixels = images_[0], .decode_ms = 1}).reason, "no-cloud");
}

TEST_F(EdgePipelineTest, TheCloudIsToldTheTimeLeftAndWhatTheEdgeAnswered) {
  const auto expected = reference();
  std::mutex mutex;
  std::vector<std::pair<std::string, std::string>> told;  // time left, exits
  serve(cloud_model(true), [&](const HttpRequest& request) -> std::optional<HttpResponse> {
    const std::lock_guard lock(mutex);
    told.emplace_back(find_header(request.headers, kTimeoutHeader).value_or("none"),
                      find_header(request.headers, kEdgeExitsHeader).value_or("none"));
    if (told.size() == 1) return error_response(500, "not now");
    return std::nullopt;
  });
  const float threshold = median_confidence(expected, 0);
  const auto leaves = [&](std::size_t i) { return expected[i][0].confidence >= threshold; };
  std::vector<std::size_t> easy, hard;
  for (std::size_t i = 0; i < images_.size(); ++i) (leaves(i) ? easy : hard).push_back(i);
  EdgePipeline edge(edge_model(), link(server_->port(), 1), by({threshold, 1}));
  (void)edge.classify({.pixels = images_[easy[0]]});
  (void)edge.classify({.pixels = images_[easy[1]]});
  const EdgeOutcome failed = edge.classify({.pixels = images_[hard[0]]});
  EXPECT_EQ(failed.reason, "failed");
  (void)edge.classify({.pixels = images_[hard[1]], .deadline = Clock::now() + 5s});
  (void)edge.classify({.pixels = images_[hard[2]]});
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[0].second, "1=2");
  // What was not received is told again, with the degraded answer.
  EXPECT_EQ(told[1].second, failed.prediction.exit == 1 ? "1=3" : "1=2,2=1");
  EXPECT_EQ(told[2].second, "none");
  EXPECT_GT(std::stoi(told[0].first), 9000);
  EXPECT_LE(std::stoi(told[0].first), 10000) << "the time-out of the cloud";
  EXPECT_LE(std::stoi(told[1].first), 5000) << "the image's deadline is earlier";
}

TEST_F(EdgePipelineTest, AsksByTlsWithATokenAndSaysWhenItIsDenied) {
  const auto expected = reference();
  const test::Certificate made = test::make_certificate(directory_, "cloud", "IP:127.0.0.1");
  HttpServerOptions options;
  options.tls_certificate = made.certificate_file;
  options.tls_key = made.key_file;
  options.tokens = {"right"};
  serve(cloud_model(true), {}, std::move(options));
  for (const bool is_right : {true, false}) {
    EdgePipeline edge(
        edge_model(),
        link(server_->port(), 2, 0, 10s,
             {.bearer_token = is_right ? "right" : "wrong", .ca_file = made.certificate_file}),
        all_to_the_cloud());
    const EdgeOutcome outcome = edge.classify({.pixels = images_[0]});
    EXPECT_EQ(outcome.reason, is_right ? "" : "denied");
    expect_same(outcome.prediction, is_right ? expected[0][2] : most_confident_early(expected[0]));
  }
}

TEST_F(EdgePipelineTest, RefusesAnImageOfAnotherSize) {
  EdgePipeline edge(edge_model(), nullptr, all_to_the_cloud());
  EXPECT_THROW((void)edge.classify({.pixels = std::vector<std::uint8_t>(5)}), ShapeError);
}

// The rest of the network computed here.
class EdgeHedgeTest : public EdgePipelineTest {};

TEST_F(EdgeHedgeTest, ASlowCloudIsOvertakenByTheRestComputedHere) {
  const auto expected = reference();
  serve_behind_gate();
  EdgePipelineOptions options = all_to_the_cloud();
  options.hedge = 20ms;
  EdgePipeline edge(full_edge_model(), link(server_->port(), 2), std::move(options));
  const std::vector<EdgeOutcome> outcomes = submit_all(edge);
  for (std::size_t i = 0; i < images_.size(); ++i) {
    EXPECT_TRUE(outcomes[i].hedged);
    EXPECT_FALSE(outcomes[i].degraded || outcomes[i].from_cloud);
    EXPECT_EQ(outcomes[i].reason, "");
    expect_same(outcomes[i].prediction, expected[i][2]);
  }
  gate_.open();
}

TEST_F(EdgeHedgeTest, ACloudInTimeIsNotOvertaken) {
  const auto expected = reference();
  serve(cloud_model(true));
  EdgePipelineOptions options = all_to_the_cloud();
  options.hedge = 60s;
  EdgePipeline edge(full_edge_model(), link(server_->port()), std::move(options));
  for (const EdgeOutcome& outcome : submit_all(edge)) {
    EXPECT_TRUE(outcome.from_cloud);
    EXPECT_FALSE(outcome.hedged);
  }
}

TEST_F(EdgeHedgeTest, AFailedCloudIsReplacedAtOnce) {
  const auto expected = reference();
  int port = 0;
  {
    const test::FakePeer gone([](test::RawSocket&) {});
    port = gone.port();
  }
  for (const bool cloud_only : {false, true}) {
    EdgePipelineOptions options = all_to_the_cloud();
    options.engine.cloud_only = cloud_only;
    EdgePipeline edge(full_edge_model(), link(port), std::move(options));
    const std::vector<EdgeOutcome> outcomes = submit_all(edge);
    for (std::size_t i = 0; i < images_.size(); ++i) {
      EXPECT_TRUE(outcomes[i].hedged);
      EXPECT_FALSE(outcomes[i].degraded);
      EXPECT_THAT(outcomes[i].reason, testing::AnyOf("refused", "paused"));
      expect_same(outcomes[i].prediction, expected[i][2]);
    }
  }
}

TEST_F(EdgeHedgeTest, WithoutACloudTheFileIsTheWholeNetwork) {
  const auto expected = reference();
  EdgePipeline edge(full_edge_model(), nullptr, all_to_the_cloud());
  const EdgeOutcome outcome = edge.classify({.pixels = images_[0]});
  EXPECT_FALSE(outcome.hedged || outcome.degraded);
  expect_same(outcome.prediction, expected[0][2]);
}

TEST_F(EdgeHedgeTest, HedgesComeAfterTheImagesThatWaitedBefore) {
  serve_behind_gate();
  EdgePipelineOptions options = all_to_the_cloud();
  options.hedge = 0ms;
  options.queue = images_.size();
  EdgePipeline edge(full_edge_model(), link(server_->port(), 2), std::move(options));
  // Keeps the computing thread busy until all images wait.
  test::Gate all_wait;
  edge.submit({.pixels = images_[0], .deadline = Clock::now() - 1ms},
              [&](const EdgeOutcome&) { all_wait.pass(); });
  all_wait.wait_for(1);
  std::atomic<std::size_t> num_hedged = 0, num_ahead = 0;
  for (const Pixels& image : images_) {
    edge.submit({.pixels = image}, [&](const EdgeOutcome& outcome) {
      if (outcome.hedged) ++num_hedged;
      num_ahead += edge.status().queued;
    });
  }
  all_wait.open();
  edge.drain();
  EXPECT_EQ(num_hedged, images_.size());
  EXPECT_EQ(num_ahead, 0U) << "an image waited while an earlier one was computed on";
  gate_.open();
}

}  // namespace
}  // namespace branchy
