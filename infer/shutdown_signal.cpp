#include "infer/shutdown_signal.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

#include "core/error.h"

namespace branchy {
namespace {

// A signal handler can reach nothing but globals; these belong to the one ShutdownSignal.
std::atomic<int> signals_seen{0};
std::array<int, 2> wake_pipe{-1, -1};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void on_shutdown_signal(int number) {
  const int saved = errno;
  if (signals_seen.fetch_add(1) > 0) _exit(128 + number);
  const char byte = 0;
  [[maybe_unused]] const ssize_t written = write(wake_pipe[1], &byte, 1);
  errno = saved;
}

void set_handler(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

ShutdownSignal::ShutdownSignal() {
  if (pipe(wake_pipe.data()) != 0) throw IoError("[signals] cannot make a pipe: too many files");
  signals_seen = 0;
  set_handler(on_shutdown_signal);
}

ShutdownSignal::~ShutdownSignal() {
  set_handler(SIG_DFL);
  close(wake_pipe[0]);
  close(wake_pipe[1]);
}

bool ShutdownSignal::requested() const { return signals_seen.load() > 0; }

int ShutdownSignal::descriptor() const { return wake_pipe[0]; }

void ShutdownSignal::wait() const {
  pollfd readable{wake_pipe[0], POLLIN, 0};
  while (!requested()) poll(&readable, 1, -1);
}

}  // namespace branchy
