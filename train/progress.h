// Progress: a bar on a terminal, plain lines now and then otherwise. Writes to stderr.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace branchy {

class Progress {
 public:
  explicit Progress(std::string label);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `fraction` in 0..1 of the whole; `text` is what stands behind the bar. Cheap to call often.
  void update(double fraction, std::string_view text);
  /// A line that stays, above the bar.
  void line(std::string_view text);

 private:
  void clear();

  std::string label_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace branchy
