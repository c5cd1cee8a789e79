#include "infer/cloud_link.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

std::string exits_header(const std::map<std::int64_t, std::int64_t>& exits) {
  std::vector<std::string> counts;
  for (const auto& [exit, count] : exits) counts.push_back(fmt::format("{}={}", exit, count));
  return fmt::format("{}", fmt::join(counts, ","));
}

}  // namespace

struct CloudLink::Connection {
  CloudClient client;
  bool is_warm = false;  // its last exchange went well, so the next need not connect
};

/// A connection for one caller.
class CloudLink::Lease {
 public:
  explicit Lease(CloudLink& link) : link_(link) {
    std::unique_lock lock(link.mutex_);
    link.returned_.wait(lock, [&] { return !link.idle_.empty(); });
    connection_ = std::move(link.idle_.back());
    link.idle_.pop_back();
  }
  ~Lease() {
    {
      const std::lock_guard lock(link_.mutex_);
      link_.idle_.push_back(std::move(connection_));
    }
    link_.returned_.notify_one();
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Connection& operator*() const { return *connection_; }
  Connection* operator->() const { return connection_.get(); }

 private:
  CloudLink& link_;
  std::unique_ptr<Connection> connection_;
};

CloudLink::CloudLink(CloudLinkOptions options, Warn warn)
    : options_(std::move(options)),
      warn_(std::move(warn)),
      breaker_(kFirstPause, kLongestPause),
      rng_(options_.seed) {
  for (std::size_t i = 0; i < std::max<std::size_t>(1, options_.connections); ++i) {
    // make_unique would want an aggregate's constructor.
    idle_.push_back(std::unique_ptr<Connection>(new Connection{
        CloudClient(options_.url, options_.model, options_.timeout, options_.http)}));
  }
}

Result<ModelDescription> CloudLink::describe() {
  const Lease connection(*this);
  Result<ModelDescription> description = connection->client.describe();
  connection->is_warm = description.ok();
  return description;
}

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
  Clock::time_point end = start + options_.timeout;
  if (deadline) end = std::min(end, *deadline);
  const Lease connection(*this);
  std::string text;
  for (std::int64_t attempt = 1;; ++attempt) {
    const auto left = std::chrono::floor<milliseconds>(end - Clock::now());
    if (left < milliseconds(1)) {
      if (attempt == 1) reply.reason = "deadline";
      break;
    }
    const Result<CloudAnswer> answer = this->attempt(*connection, question, left);
    if (answer) {
      reply.answer = *answer;
      break;
    }
    const Failure& failure = answer.failure();
    reply.reason = std::string(to_string(failure.kind));
    text = failure.text;
    if (attempt > options_.retries || pass->is_trial || !may_help_to_retry(failure.kind)) break;
    const Clock::duration wait = backoff(attempt, failure);
    if (Clock::now() + wait >= end) break;
    std::this_thread::sleep_for(wait);
    if (is_answered && is_answered()) break;
    ++reply.retries;
  }
  close_question(*pass, reply, text);
  return reply;
}

Result<CloudAnswer> CloudLink::attempt(Connection& connection, const CloudQuestion& question,
                                       milliseconds timeout) {
  const auto exits = take_exits();
  Result<CloudAnswer> answer = connection.client.infer(question, timeout, exits_header(exits));
  connection.is_warm = answer.ok();
  const std::lock_guard lock(mutex_);
  if (answer) {
    estimate_.add_transfer(answer->bytes_sent + answer->bytes_received,
                           std::max(answer->round_trip_ms - answer->compute_ms, 0.0));
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

std::map<std::int64_t, std::int64_t> CloudLink::take_exits() {
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

bool CloudLink::exchange_probe(CloudClient& client, std::size_t padding_bytes) {
  std::optional<CircuitBreaker::Pass> pass;
  {
    const std::lock_guard lock(mutex_);
    pass = breaker_.enter(Clock::now());
  }
  if (!pass) return false;
  const Result<LinkProbe> probe = client.probe(padding_bytes);
  const std::lock_guard lock(mutex_);
  last_probe_ = Clock::now();
  if (!probe) {
    breaker_.failed(*pass, *last_probe_);
    return false;
  }
  // That a cloud is reached does not mean that it answers questions: only those close the breaker.
  breaker_.returned(*pass);
  probe_bytes_ += probe->bytes;
  if (padding_bytes == 0) {
    estimate_.add_round_trip(probe->ms);
  } else {
    estimate_.add_transfer(probe->bytes, probe->ms);
    last_transfer_ = last_probe_;
  }
  return true;
}

void CloudLink::probe() {
  const Lease connection(*this);
  // An exchange that has to connect is no round trip.
  if (!connection->is_warm) connection->is_warm = connection->client.probe(0).ok();
  connection->is_warm = exchange_probe(connection->client, 0);
  if (!connection->is_warm) return;
  bool is_old = false;
  {
    const std::lock_guard lock(mutex_);
    is_old = !last_transfer_ || Clock::now() - *last_transfer_ >= kBandwidthAge;
  }
  if (is_old) connection->is_warm = exchange_probe(connection->client, CloudClient::kMaxPadding);
}

CloudLinkStatus CloudLink::status() const {
  const std::lock_guard lock(mutex_);
  return {.estimate = estimate_,
          .probe_bytes = probe_bytes_,
          .is_paused = !breaker_.allows(Clock::now())};
}

}  // namespace branchy
