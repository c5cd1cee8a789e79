// ShutdownSignal: SIGINT and SIGTERM as a request to stop; the second one ends the process at once.
#pragma once

namespace branchy {

/// At most one object at a time. Handlers are set while it lives.
class ShutdownSignal {
 public:
  ShutdownSignal();
  ~ShutdownSignal();
  ShutdownSignal(const ShutdownSignal&) = delete;
  ShutdownSignal& operator=(const ShutdownSignal&) = delete;

  /// Whether a signal has come.
  [[nodiscard]] bool requested() const;
  /// Can be polled: readable from the first signal on.
  [[nodiscard]] int descriptor() const;
  /// Blocks until one comes.
  void wait() const;
};

}  // namespace branchy
