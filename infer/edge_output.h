// EdgeOutput: where the results of branchy-edge go.
#pragma once

#include <optional>
#include <string>

#include "core/atomic_file.h"
#include "infer/edge_pipeline.h"
#include "infer/edge_report.h"
#include "infer/line_log.h"

namespace branchy {

struct EdgeOutputOptions {
  std::string out;            ///< file of JSON lines; empty: none
  bool json = false;          ///< JSON on standard output instead of text for people
  bool prints_files = false;  ///< a line on standard output for each image file
  /// Runs until it is stopped: `out` grows line by line instead of appearing whole at the end, and
  /// a full disk loses results but stops nothing.
  bool is_endless = false;
};

/// Not thread-safe.
class EdgeOutput {
 public:
  /// Throws IoError when `out` cannot be written.
  EdgeOutput(EdgeOutputOptions options, LineLog::Warn warn);

  /// Throws IoError when `out` is to be whole at the end and the disk is full.
  void add(const EdgeResult& result);
  /// The summary; `status` is of the end.
  void finish(const EdgeStatus& status);

 private:
  EdgeOutputOptions options_;
  LineLog::Warn warn_;
  EdgeReport report_;
  std::optional<AtomicFile> file_;
  std::optional<LineLog> log_;
  LineLog printed_;
};

}  // namespace branchy
