// SplitOptions: what every measurement of split inference is told: link, CPUs, programs, results.
#pragma once

#include <filesystem>
#include <string>

#include "experiments/link_conditions.h"
#include "experiments/split_programs.h"

namespace CLI {
class App;
}

namespace branchy {

struct SplitOptions {
  std::string data, out;
  std::int64_t limit = 0;  ///< only the first test images; 0: all
  LinkConditions link;
  ProgramOptions programs{.work = {}, .edge_cpus = {0}, .cloud_cpus = {1}};
};

/// Adds --limit, those of the link, --edge-cpus, --cloud-cpus, --threads, --bin and --out, which
/// `results` describes.
void add_split_options(CLI::App& app, SplitOptions& options, const std::string& results);

/// Provenance and the options as a JSON object, to begin a result with.
[[nodiscard]] std::string split_conditions(const SplitOptions& options);

/// The folder of a measurement's own files, removed with all that is in it at the end.
class WorkFolder {
 public:
  WorkFolder();
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace branchy
