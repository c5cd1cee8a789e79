// CircuitBreaker: how long to leave a failing peer alone.
#pragma once

#include <algorithm>
#include <chrono>

namespace branchy {

/// Closed while the peer answers. The third failure in a row opens it for a pause, which doubles
/// with each failed trial after it up to a limit; one success closes it again. So a peer that is
/// away or hangs costs a bounded share of the time.
class CircuitBreaker {
 public:
  using Clock = std::chrono::steady_clock;

  CircuitBreaker(std::chrono::milliseconds first_pause, std::chrono::milliseconds longest_pause)
      : first_pause_(first_pause), longest_pause_(longest_pause), pause_(first_pause) {}

  /// Whether the peer may be asked now.
  [[nodiscard]] bool allows(Clock::time_point now) const { return now >= open_until_; }
  void succeeded() {
    failures_ = 0;
    pause_ = first_pause_;
  }
  void failed(Clock::time_point now) {
    if (++failures_ < kTolerated) return;
    open_until_ = now + pause_;
    pause_ = std::min(2 * pause_, longest_pause_);
  }

 private:
  static constexpr int kTolerated = 3;

  std::chrono::milliseconds first_pause_, longest_pause_, pause_;
  int failures_ = 0;
  Clock::time_point open_until_{};
};

}  // namespace branchy
