#include "train/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace branchy {

namespace {

using namespace std::chrono_literals;
constexpr auto kTerminalInterval = 100ms;
constexpr auto kLineInterval = 15s;
constexpr int kBarWidth = 24;

}  // namespace

Progress::Progress(std::string label)
    : label_(std::move(label)), terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { clear(); }

void Progress::update(double fraction, std::string_view text) {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < (terminal_ ? std::chrono::steady_clock::duration(kTerminalInterval)
                               : std::chrono::steady_clock::duration(kLineInterval)))
    return;
  last_ = now;
  const double share = std::clamp(fraction, 0.0, 1.0);
  if (!terminal_) {
    fmt::print(stderr, "{} {:5.1f}% {}\n", label_, 100.0 * share, text);
    return;
  }
  const int filled = static_cast<int>(share * kBarWidth);
  fmt::print(stderr, "\r\x1b[K{} [{:#<{}}{:.<{}}] {:5.1f}% {}", label_, "", filled, "",
             kBarWidth - filled, 100.0 * share, text);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::line(std::string_view text) {
  clear();
  fmt::print(stderr, "{}\n", text);
}

void Progress::clear() {
  if (drawn_) fmt::print(stderr, "\r\x1b[K");
  drawn_ = false;
}

}  // namespace branchy
