// StepProgram: a program of its own that does steps when asked, branchy or a peer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/child_program.h"

namespace branchy {

/// How to start one; see `--on-request` of `branchy-experiments train-step` for what it then says.
struct StepProgramOptions {
  std::string name;  ///< "branchy", "pytorch-nchw"
  std::vector<std::string> command;
  std::vector<std::pair<std::string, std::string>> environment = {};
};

/// Starts in the constructor and waits until the program is ready; the destructor ends it. Throws
/// IoError with the end of its log when it ends or says nothing for ten minutes, DataError when it
/// says something else.
class StepProgram {
 public:
  /// Its log goes to `<folder>/<name>.log`.
  StepProgram(const StepProgramOptions& options, const std::filesystem::path& folder);

  [[nodiscard]] const std::string& name() const { return name_; }
  /// What it said that it runs: program, parameters, multiply-adds for one image.
  [[nodiscard]] const std::string& program() const { return program_; }
  [[nodiscard]] std::int64_t parameters() const { return parameters_; }
  [[nodiscard]] std::int64_t macs() const { return macs_; }

  /// Median milliseconds of `count` steps, after one that is not measured.
  [[nodiscard]] double median_ms(std::int64_t count);
  /// The most memory that it has had resident so far.
  [[nodiscard]] double peak_mib() const { return peak_mib_; }

 private:
  std::string name_, program_;
  ChildProgram process_;
  std::int64_t parameters_ = 0, macs_ = 0;
  double peak_mib_ = 0;
};

/// Starts a program that prints a line and ends; gives the line. Throws as StepProgram.
[[nodiscard]] std::string hear_once(const StepProgramOptions& options,
                                    const std::filesystem::path& folder);

}  // namespace branchy
