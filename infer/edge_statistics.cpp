#include "infer/edge_statistics.h"

#include <algorithm>
#include <utility>

#include "infer/percentile.h"

namespace branchy {
namespace {

StagePercentiles percentiles_of(const std::vector<StageTimes>& times) {
  StagePercentiles all;
  std::vector<double> values;
  for (std::size_t stage = 0; stage < kNumEdgeStages; ++stage) {
    values.clear();
    for (const StageTimes& one : times) {
      if (one[stage]) values.push_back(*one[stage]);
    }
    all[stage] = {.answers = std::ssize(values),
                  .p50 = percentile(values, 0.50),
                  .p95 = percentile(values, 0.95),
                  .p99 = percentile(values, 0.99)};
  }
  return all;
}

// Keeps the newest kWindow of `count` answers so far, the newest one included.
void keep(std::vector<StageTimes>& ring, const StageTimes& times, std::int64_t count) {
  if (ring.size() < EdgeStatistics::kWindow) {
    ring.push_back(times);
  } else {
    ring[static_cast<std::size_t>(count - 1) % EdgeStatistics::kWindow] = times;
  }
}

}  // namespace

EdgeStatistics::EdgeStatistics(std::int64_t num_exits, Clock::time_point now) : started_(now) {
  totals_.exits.resize(static_cast<std::size_t>(num_exits));
  current_.number = 1;
}

// Ends the intervals that are over at `now`. Those without a call in them stay empty: nothing was
// answered, and nobody looked at the link.
void EdgeStatistics::advance(Clock::time_point now) {
  const std::int64_t number = std::max<std::int64_t>((now - started_) / kInterval, 0) + 1;
  if (number <= current_.number) return;
  current_.latencies = percentiles_of(current_times_);
  current_times_.clear();
  history_.push_back(std::exchange(current_, {}));
  const std::int64_t oldest = number - static_cast<std::int64_t>(kMaxPoints);
  std::int64_t next = std::max(history_.back().number + 1, oldest);
  for (; next < number; ++next) history_.push_back({.number = next});
  while (history_.size() > kMaxPoints - 1) history_.pop_front();
  current_.number = number;
}

void EdgeStatistics::look_at_link(const EdgeStatus& status) {
  current_.bits_per_second = status.bits_per_second;
  current_.round_trip_ms = status.round_trip_ms;
}

void EdgeStatistics::add(const EdgeResult& result, std::shared_ptr<const Thumbnail> thumbnail,
                         const EdgeStatus& status, Clock::time_point now) {
  const EdgeOutcome& outcome = result.outcome;
  const StageTimes times = stage_times(outcome);
  const std::lock_guard lock(mutex_);
  advance(now);
  look_at_link(status);
  ++totals_.images;
  ++current_.images;
  totals_.retries += outcome.retries;
  if (outcome.hedged) ++totals_.hedged;
  totals_.bytes_sent += outcome.bytes_sent;
  totals_.bytes_received += outcome.bytes_received;
  if (outcome.from_cloud) {
    ++totals_.cloud;
    ++current_.cloud;
  }
  if (outcome.degraded) {
    ++totals_.degraded;
    ++current_.degraded;
    ++totals_.reasons[outcome.reason];
  }
  const auto exit = static_cast<std::size_t>(outcome.prediction.exit - 1);
  if (outcome.dropped) {
    ++totals_.dropped;
  } else if (exit < totals_.exits.size()) {
    ExitCounts& counts = totals_.exits[exit];
    ++(outcome.degraded ? counts.degraded : outcome.from_cloud ? counts.cloud : counts.edge);
  }
  keep(window_, times, totals_.images);
  keep(current_times_, times, current_.images);
  if (thumbnail == nullptr) return;
  images_.push_back({.number = totals_.images,
                     .result = result,
                     .total_ms = times[static_cast<std::size_t>(EdgeStage::kTotal)].value_or(0),
                     .thumbnail = std::move(thumbnail)});
  if (images_.size() > kMaxImages) images_.pop_front();
}

EdgeStatistics::Snapshot EdgeStatistics::snapshot(std::int64_t since, std::int64_t after_image,
                                                  const EdgeStatus& status, Clock::time_point now) {
  Snapshot snapshot;
  std::vector<StageTimes> window;
  std::vector<StageTimes> current_times;
  {
    const std::lock_guard lock(mutex_);
    advance(now);
    look_at_link(status);
    snapshot.totals = totals_;
    for (const HistoryPoint& point : history_) {
      if (point.number >= since) snapshot.history.push_back(point);
    }
    snapshot.history.push_back(current_);
    for (const RecentImage& image : images_) {
      if (image.number > after_image) snapshot.images.push_back(image);
    }
    window = window_;
    current_times = current_times_;
  }
  snapshot.window = std::ssize(window);
  snapshot.latencies = percentiles_of(window);
  snapshot.history.back().latencies = percentiles_of(current_times);
  return snapshot;
}

}  // namespace branchy
