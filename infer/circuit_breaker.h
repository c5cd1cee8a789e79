// CircuitBreaker: how long to leave a failing peer alone.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace branchy {

/// Closed while the peer answers. The third failure in a row opens it for a pause; after that one
/// caller at a time may try. Each failed trial doubles the pause up to a limit; any success closes
/// it again. So a peer that is away or hangs costs a bounded share of the time. Not thread-safe.
class CircuitBreaker {
 public:
  using Clock = std::chrono::steady_clock;
  /// The right to ask once; goes back with `succeeded`, `failed` or `returned`.
  struct Pass {
    bool is_trial = false;
  };

  CircuitBreaker(std::chrono::milliseconds first_pause, std::chrono::milliseconds longest_pause)
      : first_pause_(first_pause), longest_pause_(longest_pause), pause_(first_pause) {}

  [[nodiscard]] bool is_open() const { return is_open_; }
  /// Whether `enter` would give a pass.
  [[nodiscard]] bool allows(Clock::time_point now) const {
    return !is_open_ || (now >= open_until_ && !trial_is_out_);
  }
  [[nodiscard]] std::optional<Pass> enter(Clock::time_point now) {
    if (!allows(now)) return std::nullopt;
    trial_is_out_ = is_open_;
    return Pass{.is_trial = is_open_};
  }
  void succeeded(Pass /*pass*/) {
    is_open_ = false;
    trial_is_out_ = false;
    failures_ = 0;
    pause_ = first_pause_;
  }
  /// A failure of one who entered before the pause began says nothing new.
  void failed(Pass pass, Clock::time_point now) {
    if (pass.is_trial) trial_is_out_ = false;
    if (is_open_ ? !pass.is_trial : ++failures_ < kTolerated) return;
    is_open_ = true;
    open_until_ = now + pause_;
    pause_ = std::min(2 * pause_, longest_pause_);
  }
  /// The peer was not asked after all.
  void returned(Pass pass) {
    if (pass.is_trial) trial_is_out_ = false;
  }

 private:
  static constexpr int kTolerated = 3;

  std::chrono::milliseconds first_pause_, longest_pause_, pause_;
  int failures_ = 0;
  bool is_open_ = false, trial_is_out_ = false;
  Clock::time_point open_until_{};
};

}  // namespace branchy
