#include "infer/edge_statistics.h"

#include <gtest/gtest.h>

#include "tests/infer/edge_results.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using test::edge_result;
using Clock = EdgeStatistics::Clock;

const Clock::time_point kStart = Clock::now();

std::shared_ptr<const Thumbnail> picture() {
  return std::make_shared<const Thumbnail>(
      make_thumbnail(std::vector<std::uint8_t>(3 * 2 * 2, 7), Shape{1, 3, 2, 2}));
}

std::size_t at(EdgeStage stage) { return static_cast<std::size_t>(stage); }

TEST(EdgeStatistics, CountsExitsByWhoDecided) {
  EdgeStatistics statistics(3, kStart);
  statistics.add(edge_result({.exit = 1}), nullptr, {}, kStart);
  statistics.add(edge_result({.exit = 1}), nullptr, {}, kStart);
  statistics.add(edge_result({.exit = 3, .from_cloud = true}), nullptr, {}, kStart);
  statistics.add(edge_result({.exit = 1, .from_cloud = true}), nullptr, {}, kStart);
  statistics.add(edge_result({.exit = 2, .reason = "timeout"}), nullptr, {}, kStart);
  EdgeResult dropped = edge_result({.exit = 2});
  dropped.outcome.dropped = true;
  statistics.add(dropped, nullptr, {}, kStart);
  const auto totals = statistics.snapshot(0, 0, {}, kStart).totals;
  EXPECT_EQ(totals.images, 6);
  EXPECT_EQ(totals.cloud, 2);
  EXPECT_EQ(totals.degraded, 1);
  EXPECT_EQ(totals.dropped, 1);
  ASSERT_EQ(totals.exits.size(), 3U);
  EXPECT_EQ(totals.exits[0].edge, 2);
  EXPECT_EQ(totals.exits[0].cloud, 1);
  EXPECT_EQ(totals.exits[1].edge, 0);
  EXPECT_EQ(totals.exits[1].degraded, 1);
  EXPECT_EQ(totals.exits[2].cloud, 1);
  EXPECT_EQ(totals.reasons, (std::map<std::string, std::int64_t>{{"timeout", 1}}));
}

TEST(EdgeStatistics, PercentilesAreOfTheNewestAnswers) {
  EdgeStatistics statistics(3, kStart);
  const auto add = [&](double ms) {
    statistics.add(edge_result({.exit = 1, .total_ms = ms}), nullptr, {}, kStart);
  };
  for (int i = 0; i < 500; ++i) add(1e6);  // forgotten
  for (int i = 1; i <= 1000; ++i) add(i);
  const auto snapshot = statistics.snapshot(0, 0, {}, kStart);
  EXPECT_EQ(snapshot.window, 1000);
  const LatencyPercentiles& total = snapshot.latencies[at(EdgeStage::kTotal)];
  EXPECT_EQ(total.answers, 1000);
  EXPECT_EQ(total.p50, 500);
  EXPECT_EQ(total.p95, 950);
  EXPECT_EQ(total.p99, 990);
}

TEST(EdgeStatistics, AStageCountsOnlyThoseWhoWentThroughIt) {
  EdgeStatistics statistics(3, kStart);
  statistics.add(edge_result({.exit = 1, .total_ms = 4}), nullptr, {}, kStart);
  EdgeResult far = edge_result({.exit = 3, .from_cloud = true, .total_ms = 40});
  far.outcome.round_trip_ms = 30;
  far.outcome.cloud_ms = 20;
  far.outcome.decode_ms = 2;
  statistics.add(far, nullptr, {}, kStart);
  const auto latencies = statistics.snapshot(0, 0, {}, kStart).latencies;
  EXPECT_EQ(latencies[at(EdgeStage::kRoundTrip)].answers, 1);
  EXPECT_EQ(latencies[at(EdgeStage::kRoundTrip)].p50, 30);
  EXPECT_EQ(latencies[at(EdgeStage::kCloud)].p99, 20);
  EXPECT_EQ(latencies[at(EdgeStage::kEncode)].answers, 0);
  EXPECT_EQ(latencies[at(EdgeStage::kTotal)].p99, 42) << "reading the image counts";
}

TEST(EdgeStatistics, HistoryHasAPointForEachIntervalAndNoMoreThanItsLimit) {
  EdgeStatistics statistics(3, kStart);
  EdgeStatus link;
  link.bits_per_second = 1e6;
  statistics.add(edge_result({.exit = 1, .total_ms = 5}), nullptr, link, kStart + 1s);
  statistics.add(edge_result({.exit = 2, .reason = "paused"}), nullptr, link, kStart + 7s);
  auto history = statistics.snapshot(0, 0, link, kStart + 9s).history;
  ASSERT_EQ(history.size(), 5U);  // 0..2, 2..4, 4..6, 6..8, 8..10 s
  for (std::size_t i = 0; i < history.size(); ++i)
    EXPECT_EQ(history[i].number, static_cast<std::int64_t>(i) + 1);
  EXPECT_EQ(history[0].images, 1);
  EXPECT_EQ(history[0].latencies[at(EdgeStage::kTotal)].p50, 5);
  EXPECT_EQ(history[0].bits_per_second, 1e6);
  EXPECT_EQ(history[1].images, 0);
  EXPECT_FALSE(history[1].bits_per_second) << "nobody looked";
  EXPECT_EQ(history[3].degraded, 1);
  EXPECT_EQ(statistics.snapshot(4, 0, link, kStart + 9s).history.size(), 2U);
  history = statistics.snapshot(0, 0, link, kStart + std::chrono::hours(3)).history;
  EXPECT_EQ(history.size(), EdgeStatistics::kMaxPoints);
  EXPECT_EQ(history.front().images, 0) << "what was is out of sight";
  EXPECT_EQ(history.back().number, 3 * 3600 / 2 + 1);
}

TEST(EdgeStatistics, KeepsTheLastPicturesAndTellsThemOnce) {
  EdgeStatistics statistics(3, kStart);
  for (int i = 1; i <= 20; ++i) {
    EdgeResult result = edge_result({.exit = 1});
    result.file = std::to_string(i);
    statistics.add(result, picture(), {}, kStart);
  }
  statistics.add(edge_result({.exit = 1}), nullptr, {}, kStart);  // not to be shown
  const auto images = statistics.snapshot(0, 0, {}, kStart).images;
  ASSERT_EQ(images.size(), EdgeStatistics::kMaxImages);
  EXPECT_EQ(images.front().result.file, "9");
  EXPECT_EQ(images.back().result.file, "20");
  EXPECT_EQ(images.back().number, 20);
  EXPECT_EQ(statistics.snapshot(0, 18, {}, kStart).images.size(), 2U);
  EXPECT_EQ(statistics.snapshot(0, 20, {}, kStart).images.size(), 0U);
}

}  // namespace
}  // namespace branchy
