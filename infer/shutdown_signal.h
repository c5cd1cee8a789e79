// ShutdownSignal: SIGINT and SIGTERM as a request to stop; the second one ends the process at once.
#pragma once

namespace branchy {

/// At most one object at a time. Handlers are set while it lives.
class ShutdownSignal {
 public:
  /// What SIGHUP does: ends the process as ever, or asks for a reload.
  enum class Hangup { kEnds, kReloads };

  explicit ShutdownSignal(Hangup hangup = Hangup::kEnds);
  ~ShutdownSignal();
  ShutdownSignal(const ShutdownSignal&) = delete;
  ShutdownSignal& operator=(const ShutdownSignal&) = delete;

  /// Whether a signal to stop has come.
  [[nodiscard]] bool requested() const;
  /// Can be polled: readable from the first signal on.
  [[nodiscard]] int descriptor() const;
  /// Blocks until one comes.
  void wait() const;
  /// Blocks until a signal to stop (false) or to reload (true) comes; several of the latter that
  /// came since the last call are one.
  [[nodiscard]] bool wait_for_reload() const;
};

}  // namespace branchy
