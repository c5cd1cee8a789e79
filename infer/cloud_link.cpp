#include "infer/cloud_link.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace branchy {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{1000};
constexpr milliseconds kLongestPause{30000};
constexpr milliseconds kFirstBackoff{50};
constexpr milliseconds kLongestBackoff{1000};
// How old a round trip and a bandwidth may get before they are measured on purpose.
constexpr std::chrono::seconds kRoundTripAge{1};
constexpr std::chrono::seconds kBandwidthAge{3};

bool may_help_to_retry(FailureKind kind) {
  switch (kind) {
    case FailureKind::kRefused:
    case FailureKind::kClosed:
    case FailureKind::kOverloaded:
    case FailureKind::kGateway:
    case FailureKind::kLate:
      return true;
    default:
      return false;
  }
}

}  // namespace

CloudLink::CloudLink(CloudLinkOptions options, Warn warn)
    : retries_(options.retries),
      warn_(std::move(warn)),
      client_(std::move(options.client)),
      breaker_(kFirstPause, kLongestPause),
      rng_(options.seed) {}

CloudReply CloudLink::ask(const CloudQuestion& question, std::optional<Clock::time_point> deadline,
                          const std::function<bool()>& is_answered) {
  CloudReply reply;
  const Clock::time_point start = Clock::now();
  std::optional<CircuitBreaker::Pass> pass;
  {
    const std::lock_guard lock(mutex_);
    pass = breaker_.enter(start);
  }
  if (!pass) {
    reply.reason = "paused";
    return reply;
  }
  Clock::time_point end = start + client_.options().timeout;
  if (deadline) end = std::min(end, *deadline);
  std::string text;
  for (std::int64_t attempt = 1;; ++attempt) {
    const auto left = std::chrono::floor<milliseconds>(end - Clock::now());
    if (left < milliseconds(1)) {
      if (attempt == 1) reply.reason = "deadline";
      break;
    }
    const Result<CloudAnswer> answer = this->attempt(question, left);
    if (answer) {
      reply.answer = *answer;
      break;
    }
    const Failure& failure = answer.failure();
    reply.reason = std::string(to_string(failure.kind));
    text = failure.text;
    if (attempt > retries_ || pass->is_trial || !may_help_to_retry(failure.kind)) break;
    const Clock::duration wait = backoff(attempt, failure);
    if (Clock::now() + wait >= end) break;
    std::this_thread::sleep_for(wait);
    if (is_answered && is_answered()) break;
    ++reply.retries;
  }
  close_question(*pass, reply, text);
  return reply;
}

Result<CloudAnswer> CloudLink::attempt(const CloudQuestion& question, milliseconds timeout) {
  const EdgeExitCounts exits = take_exits();
  Result<CloudAnswer> answer = client_.infer(question, timeout, exits);
  const std::lock_guard lock(mutex_);
  if (answer) {
    const double there_ms = answer->compute_ms + answer->queue_ms;
    const double link_ms = answer->round_trip_ms - there_ms;
    // What the cloud says of itself is believed only when it can be true.
    estimate_.add_transfer(answer->bytes_sent + answer->bytes_received,
                           there_ms >= 0 && link_ms >= 0 ? link_ms : answer->round_trip_ms);
    last_transfer_ = Clock::now();
  } else {
    for (const auto& [exit, count] : exits) exits_[exit] += count;
  }
  return answer;
}

CloudLink::Clock::duration CloudLink::backoff(std::int64_t attempt, const Failure& failure) {
  milliseconds pause = kFirstBackoff;
  for (std::int64_t i = 1; i < attempt && pause < kLongestBackoff; ++i) pause *= 2;
  pause = std::min(pause, kLongestBackoff);
  const std::lock_guard lock(mutex_);
  const std::chrono::duration<double, std::milli> jitter =
      static_cast<double>(rng_.uniform()) * pause;
  return failure.retry_after.value_or(std::chrono::seconds(0)) +
         std::chrono::duration_cast<Clock::duration>(jitter);
}

void CloudLink::close_question(CircuitBreaker::Pass pass, const CloudReply& reply,
                               const std::string& text) {
  bool is_first = false;
  {
    const std::lock_guard lock(mutex_);
    if (reply.answer) {
      breaker_.succeeded(pass);
      was_away_ = false;
    } else if (text.empty()) {
      breaker_.returned(pass);
    } else {
      breaker_.failed(pass, Clock::now());
      is_first = !std::exchange(was_away_, true);
    }
  }
  if (is_first && warn_) warn_(text + "; answering without the cloud");
}

EdgeExitCounts CloudLink::take_exits() {
  const std::lock_guard lock(mutex_);
  return std::exchange(exits_, {});
}

void CloudLink::count_exit(std::int64_t exit) {
  const std::lock_guard lock(mutex_);
  ++exits_[exit];
}

bool CloudLink::is_probe_due() const {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  return (!last_probe_ || now - *last_probe_ >= kRoundTripAge) && breaker_.allows(now);
}

void CloudLink::probe() {
  std::optional<CircuitBreaker::Pass> pass;
  bool is_old = false;
  {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = Clock::now();
    last_probe_ = now;
    pass = breaker_.enter(now);
    is_old = !last_transfer_ || now - *last_transfer_ >= kBandwidthAge;
  }
  if (!pass) return;
  // The first may have to connect, which is no round trip.
  const Result<LinkProbe> first = client_.probe(0);
  const Result<LinkProbe> second = first ? client_.probe(0) : first;
  const Result<LinkProbe> padded =
      second && is_old ? client_.probe(CloudClient::kMaxPadding) : second;
  const std::lock_guard lock(mutex_);
  if (!padded) return breaker_.failed(*pass, Clock::now());
  // That the cloud is reached does not mean that it answers: only questions close the breaker.
  breaker_.returned(*pass);
  estimate_.add_round_trip(std::min(first->ms, second->ms));
  probe_bytes_ += first->bytes + second->bytes;
  if (!is_old) return;
  estimate_.add_transfer(padded->bytes, padded->ms);
  probe_bytes_ += padded->bytes;
  last_transfer_ = Clock::now();
}

CloudLinkStatus CloudLink::status() const {
  const std::lock_guard lock(mutex_);
  return {.estimate = estimate_,
          .probe_bytes = probe_bytes_,
          .is_paused = !breaker_.allows(Clock::now())};
}

}  // namespace branchy
