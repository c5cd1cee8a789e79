#include "train/interrupt.h"

#include <csignal>

namespace branchy {

namespace {

volatile std::sig_atomic_t signal_seen = 0;  // a signal handler can reach nothing but a global

void handle_signals(void (*handler)(int)) {
  std::signal(SIGINT, handler);
  std::signal(SIGTERM, handler);
}

void on_signal(int /*number*/) {
  signal_seen = 1;
  handle_signals(SIG_DFL);  // the next one ends the process, whichever it is
}

}  // namespace

Interrupt::Interrupt() {
  signal_seen = 0;
  handle_signals(on_signal);
}

Interrupt::~Interrupt() { handle_signals(SIG_DFL); }

bool Interrupt::requested() { return signal_seen != 0; }

}  // namespace branchy
