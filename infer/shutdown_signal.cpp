#include "infer/shutdown_signal.h"

#include <fcntl.h>
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
std::atomic<bool> reload_asked{false};
std::array<int, 2> wake_pipe{-1, -1};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

// The pipe does not block: when it is full, there is enough in it to wake up.
void wake() {
  const int saved = errno;
  const char byte = 0;
  [[maybe_unused]] const ssize_t written = write(wake_pipe[1], &byte, 1);
  errno = saved;
}

extern "C" void on_shutdown_signal(int number) {
  if (signals_seen.fetch_add(1) > 0) _exit(128 + number);
  wake();
}

extern "C" void on_reload_signal(int) {
  reload_asked = true;
  wake();
}

void set_handler(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(number, &action, nullptr);
}

void wait_for_wake() {
  pollfd readable{wake_pipe[0], POLLIN, 0};
  poll(&readable, 1, -1);
}

}  // namespace

ShutdownSignal::ShutdownSignal(Hangup hangup) {
  if (pipe2(wake_pipe.data(), O_NONBLOCK | O_CLOEXEC) != 0)
    throw IoError("[signals] cannot make a pipe: too many files");
  signals_seen = 0;
  reload_asked = false;
  set_handler(SIGINT, on_shutdown_signal);
  set_handler(SIGTERM, on_shutdown_signal);
  if (hangup == Hangup::kReloads) set_handler(SIGHUP, on_reload_signal);
}

ShutdownSignal::~ShutdownSignal() {
  for (const int number : {SIGINT, SIGTERM}) set_handler(number, SIG_DFL);
  struct sigaction now {};
  sigaction(SIGHUP, nullptr, &now);
  if (now.sa_handler == on_reload_signal) set_handler(SIGHUP, SIG_DFL);
  close(wake_pipe[0]);
  close(wake_pipe[1]);
}

bool ShutdownSignal::requested() const { return signals_seen.load() > 0; }

int ShutdownSignal::descriptor() const { return wake_pipe[0]; }

void ShutdownSignal::wait() const {
  while (!requested()) wait_for_wake();
}

bool ShutdownSignal::wait_for_reload() const {
  for (;;) {
    if (requested()) return false;
    std::array<char, 64> bytes{};
    while (read(wake_pipe[0], bytes.data(), bytes.size()) > 0) {
    }
    if (reload_asked.exchange(false)) return true;
    // A signal that came since then has left its byte: this returns at once.
    if (!requested()) wait_for_wake();
  }
}

}  // namespace branchy
