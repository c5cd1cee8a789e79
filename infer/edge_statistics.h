// EdgeStatistics: what an edge's answers were like, now and over the last minutes.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "infer/edge_pipeline.h"
#include "infer/edge_report.h"
#include "infer/edge_stages.h"
#include "infer/thumbnail.h"

namespace branchy {

/// Nearest rank, of the answers that went through a stage; milliseconds.
struct LatencyPercentiles {
  std::int64_t answers = 0;
  double p50 = 0, p95 = 0, p99 = 0;  ///< 0 without answers
};
using StagePercentiles = std::array<LatencyPercentiles, kNumEdgeStages>;

/// Answers whose class is an exit's, by who computed the last one needed.
struct ExitCounts {
  std::int64_t edge = 0, cloud = 0, degraded = 0;
};

/// What happened in one interval of `EdgeStatistics::kInterval`.
struct HistoryPoint {
  std::int64_t number = 0;  ///< rises by one an interval, from 1
  std::int64_t images = 0, cloud = 0, degraded = 0;
  StagePercentiles latencies = {};
  std::optional<double> bits_per_second = {}, round_trip_ms = {};  ///< of the link as it was then
};

/// One of the last images.
struct RecentImage {
  std::int64_t number = 0;  ///< of the answer, from 1
  EdgeResult result;
  double total_ms = 0;  ///< as EdgeStage::kTotal
  std::shared_ptr<const Thumbnail> thumbnail;
};

/// Memory is bounded: kWindow answers, kMaxPoints intervals, kMaxImages small pictures.
/// Thread-safe.
class EdgeStatistics {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kInterval{2};
  static constexpr std::size_t kWindow = 1000;    ///< newest answers that the percentiles are of
  static constexpr std::size_t kMaxPoints = 150;  ///< five minutes
  static constexpr std::size_t kMaxImages = 12;

  struct Totals {
    std::int64_t images = 0, cloud = 0, degraded = 0, dropped = 0;
    std::int64_t retries = 0, hedged = 0;
    std::int64_t bytes_sent = 0, bytes_received = 0;
    std::vector<ExitCounts> exits;                ///< [k-1] of exit k of the whole network
    std::map<std::string, std::int64_t> reasons;  ///< of degraded answers
  };
  /// Consistent in itself.
  struct Snapshot {
    Totals totals;
    std::int64_t window = 0;  ///< answers that `latencies` are of
    StagePercentiles latencies;
    std::vector<HistoryPoint> history;  ///< oldest first; the last one is not over yet
    std::vector<RecentImage> images;    ///< oldest first
  };

  EdgeStatistics(std::int64_t num_exits, Clock::time_point now);

  /// Counts an answer, given at `now`. Without a `thumbnail` (null) it is not among the images.
  void add(const EdgeResult& result, std::shared_ptr<const Thumbnail> thumbnail,
           const EdgeStatus& status, Clock::time_point now);
  /// Of history only intervals from number `since` on, of the images those after number
  /// `after_image`. `status` is the pipeline's.
  [[nodiscard]] Snapshot snapshot(std::int64_t since, std::int64_t after_image,
                                  const EdgeStatus& status, Clock::time_point now);

 private:
  void advance(Clock::time_point now);
  void look_at_link(const EdgeStatus& status);

  mutable std::mutex mutex_;  // guards all below
  Clock::time_point started_;
  Totals totals_;
  std::vector<StageTimes> window_;  // a ring of the newest, in no order
  HistoryPoint current_;
  std::vector<StageTimes> current_times_;  // of the current interval, at most kWindow
  std::deque<HistoryPoint> history_;       // intervals that are over
  std::deque<RecentImage> images_;
};

}  // namespace branchy
