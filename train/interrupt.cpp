#include "train/interrupt.h"

#include <csignal>

namespace branchy {

namespace {

volatile std::sig_atomic_t signals_seen = 0;  // a signal handler can reach nothing but a global

void on_signal(int number) {
  signals_seen = signals_seen + 1;
  std::signal(number, SIG_DFL);
}

}  // namespace

Interrupt::Interrupt() {
  signals_seen = 0;
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

Interrupt::~Interrupt() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool Interrupt::requested() { return signals_seen != 0; }

}  // namespace branchy
