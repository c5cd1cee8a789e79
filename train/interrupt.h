// Interrupt: Ctrl-C and SIGTERM ask the running loop to finish its step.
#pragma once

namespace branchy {

/// While alive, the first SIGINT or SIGTERM sets `requested()`; a second one ends the process.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] static bool requested();
};

/// Exit status of an interrupted command (128 + SIGINT).
inline constexpr int kInterruptedExitCode = 130;

}  // namespace branchy
