// SplitPrograms: a real branchy-cloud and real branchy-edges, started for a measurement.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "experiments/child_program.h"

namespace branchy {

/// Where the programs are and how they run.
struct ProgramOptions {
  std::filesystem::path bin = {};  ///< folder of the programs; empty: that of this one
  std::filesystem::path work;      ///< folder for logs, ports and results
  std::vector<int> edge_cpus = {}, cloud_cpus = {};                   ///< empty: any
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< of each program
  std::int64_t threads = 1;                                           ///< computing threads of each
};

/// A branchy-cloud on 127.0.0.1 that is ready.
class CloudProgram {
 public:
  /// `port` 0: any free one. `options` are added to its command line. Throws as await_port.
  CloudProgram(const ProgramOptions& programs, const std::filesystem::path& model,
               std::vector<std::string> options = {}, int port = 0);

  [[nodiscard]] ChildProgram& process() { return *process_; }
  [[nodiscard]] int port() const { return port_; }

 private:
  std::unique_ptr<ChildProgram> process_;
  int port_ = 0;
};

/// A branchy-edge at work, its results in `<work>/<name>.jsonl`, its log in `<work>/<name>.log`.
[[nodiscard]] std::unique_ptr<ChildProgram> start_edge(const ProgramOptions& programs,
                                                       const std::string& name,
                                                       const std::filesystem::path& model,
                                                       const std::vector<std::string>& options);
/// A branchy-edge that listens on 127.0.0.1; `port` is then its own. Throws as await_port.
[[nodiscard]] std::unique_ptr<ChildProgram> start_listening_edge(
    const ProgramOptions& programs, const std::string& name, const std::filesystem::path& model,
    const std::vector<std::string>& options, int& port);
[[nodiscard]] std::filesystem::path edge_results(const ProgramOptions& programs,
                                                 const std::string& name);

/// Runs `branchy export model options` into `<work>/<name>`. Throws as run_to_end.
void export_model(const ProgramOptions& programs, const std::string& model,
                  const std::vector<std::string>& options, const std::string& name);
/// `<work>/<name>/<side>.safetensors`; side: model, edge or cloud.
[[nodiscard]] std::filesystem::path exported_model(const ProgramOptions& programs,
                                                   const std::string& name,
                                                   const std::string& side);

/// Runs a program to its end; throws IoError with the end of its log when it fails.
void run_to_end(const ChildOptions& options);

/// "127.0.0.1:PORT" as a URL.
[[nodiscard]] std::string loopback_url(int port);

}  // namespace branchy
