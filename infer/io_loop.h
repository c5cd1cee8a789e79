// IoLoop: waits for many sockets and timers on one thread (Boost.Asio behind plain types).
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace branchy {

/// Everything that it calls runs on the thread of run().
class IoLoop {
 public:
  struct Impl;
  IoLoop();
  ~IoLoop();
  IoLoop(const IoLoop&) = delete;
  IoLoop& operator=(const IoLoop&) = delete;

  /// Until stop().
  void run();
  /// From any thread.
  void stop();
  /// Has `task` called soon, in the order of the calls; from any thread. What is left at the end is
  /// destroyed uncalled.
  void post(std::function<void()> task);
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// Owns a non-blocking descriptor and waits for it. On the loop's thread only.
class IoSocket {
 public:
  enum class Event { kReadable, kWritable };
  /// Throws IoError when the system can watch no more; the descriptor is closed then.
  IoSocket(IoLoop& loop, int descriptor);
  ~IoSocket();
  IoSocket(const IoSocket&) = delete;
  IoSocket& operator=(const IoSocket&) = delete;

  /// -1 once closed.
  [[nodiscard]] int descriptor() const;
  /// Calls `ready` once; after close() it is destroyed uncalled.
  void wait(Event event, std::function<void()> ready);
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// On the loop's thread only.
class IoTimer {
 public:
  using Clock = std::chrono::steady_clock;
  explicit IoTimer(IoLoop& loop);
  ~IoTimer();
  IoTimer(const IoTimer&) = delete;
  IoTimer& operator=(const IoTimer&) = delete;

  /// Calls `task` at that time, instead of what was to be called before.
  void start(Clock::time_point when, std::function<void()> task);
  void cancel();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
