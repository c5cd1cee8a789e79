// Programs as a user runs them: exit code and output, errors of one line, the files they write.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/safetensors.h"
#include "tests/support/child_process.h"

namespace branchy::test {

struct Outcome {
  int code = -1;  ///< -1 when it did not end within two minutes
  std::string out, error;

  [[nodiscard]] std::string last_error_line() const {
    const std::string text = error.substr(0, error.find_last_not_of('\n') + 1);
    return text.substr(text.rfind('\n') + 1);
  }
};

/// Runs `command` (path first) to its end; its output goes through `log` and `log`.out.
[[nodiscard]] inline Outcome run_program(std::vector<std::string> command,
                                         const std::filesystem::path& log) {
  ChildProcess child(std::move(command), log);
  const auto code = child.wait(std::chrono::seconds(120));
  return {code.value_or(-1), read_text(log.string() + ".out"), read_text(log)};
}

/// Failed with `code` and one line that holds `text`.
inline void expect_one_line(const Outcome& outcome, int code, const std::string& text) {
  EXPECT_EQ(outcome.code, code) << outcome.error;
  EXPECT_NE(outcome.error.find(text), std::string::npos) << outcome.error;
  EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
}

/// The bytes of every tensor of a file.
[[nodiscard]] inline std::map<std::string, std::string> tensors_of(
    const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  std::map<std::string, std::string> tensors;
  for (const auto& [name, entry] : file.entries())
    tensors[name] =
        std::string(reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size());
  return tensors;
}

}  // namespace branchy::test
