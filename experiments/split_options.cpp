#include "experiments/split_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/provenance.h"
#include "experiments/link_command.h"

namespace branchy {

void add_split_options(CLI::App& app, SplitOptions& options, const std::string& results) {
  ProgramOptions& programs = options.programs;
  app.add_option("--limit", options.limit, "Only the first test images");
  add_link_options(app, options.link);
  app.add_option("--edge-cpus", programs.edge_cpus, "CPUs of the edge")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--cloud-cpus", programs.cloud_cpus, "CPUs of the cloud")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--threads", programs.threads, "Computing threads of each")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--bin", programs.bin, "Folder of the programs (default: that of this one)");
  app.add_option("--out", options.out, results);
}

std::string split_conditions(const SplitOptions& options) {
  nlohmann::ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["data"] = options.data;
  json["link"] = {{"up_mbit", options.link.up_mbit},
                  {"down_mbit", options.link.down_mbit},
                  {"round_trip_ms", options.link.round_trip_ms},
                  {"jitter_ms", options.link.jitter_ms}};
  json["edge_cpus"] = options.programs.edge_cpus;
  json["cloud_cpus"] = options.programs.cloud_cpus;
  json["computing_threads"] = options.programs.threads;
  return json.dump();
}

WorkFolder::WorkFolder()
    : path_(std::filesystem::temp_directory_path() / fmt::format("branchy-split-{}", ::getpid())) {
  std::filesystem::create_directories(path_);
}

WorkFolder::~WorkFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace branchy
