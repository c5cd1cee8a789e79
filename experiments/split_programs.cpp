#include "experiments/split_programs.h"

#include <fmt/format.h>

#include <utility>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {
namespace {

// Threads that spin while they wait would take the CPU of the other programs.
std::vector<std::pair<std::string, std::string>> with_passive_threads(
    std::vector<std::pair<std::string, std::string>> environment) {
  environment.emplace_back("OMP_WAIT_POLICY", "PASSIVE");
  return environment;
}

std::unique_ptr<ChildProgram> launch_edge(const ProgramOptions& programs, const std::string& name,
                                          const std::filesystem::path& model,
                                          const std::vector<std::string>& own,
                                          const std::vector<std::string>& options) {
  std::filesystem::create_directories(programs.work);
  std::vector<std::string> words{program_path("branchy-edge", programs.bin).string(), "--model",
                                 model.string(), "--threads", std::to_string(programs.threads)};
  words.insert(words.end(), own.begin(), own.end());
  words.insert(words.end(), options.begin(), options.end());
  return std::make_unique<ChildProgram>(
      ChildOptions{.command = std::move(words),
                   .log = programs.work / (name + ".log"),
                   .cpus = programs.edge_cpus,
                   .environment = with_passive_threads(programs.environment)});
}

}  // namespace

CloudProgram::CloudProgram(const ProgramOptions& programs, const std::filesystem::path& model,
                           std::vector<std::string> options, int port) {
  std::filesystem::create_directories(programs.work);
  const auto port_file = programs.work / "cloud.port";
  std::filesystem::remove(port_file);
  std::vector<std::string> words{program_path("branchy-cloud", programs.bin).string(),
                                 "--model",
                                 model.string(),
                                 "--port",
                                 std::to_string(port),
                                 "--port-file",
                                 port_file.string(),
                                 "--threads",
                                 std::to_string(programs.threads)};
  words.insert(words.end(), std::make_move_iterator(options.begin()),
               std::make_move_iterator(options.end()));
  process_ = std::make_unique<ChildProgram>(
      ChildOptions{.command = std::move(words),
                   .log = programs.work / "cloud.log",
                   .cpus = programs.cloud_cpus,
                   .environment = with_passive_threads(programs.environment)});
  port_ = await_port(*process_, port_file);
}

std::unique_ptr<ChildProgram> start_edge(const ProgramOptions& programs, const std::string& name,
                                         const std::filesystem::path& model,
                                         const std::vector<std::string>& options) {
  return launch_edge(programs, name, model,
                     {"--out", edge_results(programs, name).string(), "--json"}, options);
}

std::unique_ptr<ChildProgram> start_listening_edge(const ProgramOptions& programs,
                                                   const std::string& name,
                                                   const std::filesystem::path& model,
                                                   const std::vector<std::string>& options,
                                                   int& port) {
  const auto port_file = programs.work / (name + ".port");
  std::filesystem::remove(port_file);
  auto edge = launch_edge(programs, name, model,
                          {"--listen", "127.0.0.1:0", "--port-file", port_file.string()}, options);
  port = await_port(*edge, port_file);
  return edge;
}

std::filesystem::path edge_results(const ProgramOptions& programs, const std::string& name) {
  return programs.work / (name + ".jsonl");
}

void export_model(const ProgramOptions& programs, const std::string& model,
                  const std::vector<std::string>& options, const std::string& name) {
  std::vector<std::string> words{program_path("branchy", programs.bin).string(), "export", model,
                                 "--out", (programs.work / name).string()};
  words.insert(words.end(), options.begin(), options.end());
  run_to_end({.command = words, .log = programs.work / "export.log"});
}

std::filesystem::path exported_model(const ProgramOptions& programs, const std::string& name,
                                     const std::string& side) {
  return programs.work / name / (side + ".safetensors");
}

void run_to_end(const ChildOptions& options) {
  ChildProgram program(options);
  const auto code = program.wait(std::chrono::hours(12));
  if (code == 0) return;
  std::string log = program.log();
  if (log.size() > 400) log = log.substr(log.size() - 400);
  throw IoError(fmt::format("[{}] ended with {}: {}", options.command.front(), code.value_or(-1),
                            printable(log)));
}

std::string loopback_url(int port) { return fmt::format("http://127.0.0.1:{}", port); }

}  // namespace branchy
