// `branchy-cloud`: serves a model file over HTTP.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace branchy {

struct CloudCommandOptions {
  std::string model;
  std::string host = "127.0.0.1";
  int port = 8000;
  std::string port_file;
  std::int64_t threads = 0;  ///< 0: all CPUs
  std::size_t workers = 1;
  std::size_t queue = 64;
  std::size_t max_connections = 1024;
  std::uint64_t max_body_mib = 16;
  std::int64_t max_batch = 64;
  std::int64_t drain_ms = 5000;
  bool log_requests = false;
  std::string measure;       ///< write the times of the model's parts here and serve nothing
  std::int64_t repeat = 50;  ///< timed runs of `measure`
};

void add_cloud_options(CLI::App& app, CloudCommandOptions& options);
/// Serves until SIGINT or SIGTERM; gives the exit code.
int run_cloud_command(const CloudCommandOptions& options);

}  // namespace branchy
