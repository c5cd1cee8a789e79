// The options of `branchy-cloud`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace branchy {

struct CloudCommandOptions {
  std::string model;   ///< a model file
  std::string models;  ///< a directory of them, see ModelRepository
  std::string host = "127.0.0.1";
  int port = 8000;
  int metrics_port = -1;  ///< -1: /metrics is on `port`
  std::string port_file;
  std::string metrics_port_file;
  std::string token_file, tls_certificate, tls_key;
  std::int64_t threads = 0;  ///< 0: all CPUs
  std::size_t workers = 1;
  std::size_t queue = 256;
  std::size_t max_connections = 1024;
  std::uint64_t max_body_mib = 16;
  std::int64_t max_batch = 64;   ///< rows of a request
  std::int64_t batch_rows = 16;  ///< rows of several requests together, at most `max_batch`
  std::int64_t batch_wait_us = 0;
  std::int64_t max_wait_ms = 0;  ///< 0: without limit
  std::int64_t drain_ms = 5000;
  std::int64_t drain_delay_ms = 0;
  bool log_requests = false;
  std::string measure;       ///< write the times of the model's parts here and serve nothing
  std::int64_t repeat = 50;  ///< timed runs of `measure`

  /// `threads`, or all CPUs.
  [[nodiscard]] std::int64_t num_threads() const;
};

void add_cloud_options(CLI::App& app, CloudCommandOptions& options);
/// Throws ConfigError for options that do not go together.
void check_cloud_options(const CloudCommandOptions& options);

}  // namespace branchy
