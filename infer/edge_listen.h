// `branchy-edge --listen`: options of the edge's own HTTP endpoint, and the endpoint while it runs.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "infer/edge_report.h"

namespace CLI {
class App;
}

namespace branchy {

class EdgePipeline;
struct Thumbnail;

struct EdgeListenOptions {
  std::string address;    ///< HOST:PORT; empty: no endpoint
  std::string port_file;  ///< gets the port when ready
  std::string token_file, tls_certificate, tls_key;
  std::size_t max_connections = 256;
  std::size_t max_requests = 64;  ///< that wait to be read
  std::size_t decoders = 2;
  std::uint64_t max_body_mib = 16;
  std::int64_t max_megapixels = 16;
  std::int64_t max_batch = 64;
  std::int64_t drain_ms = 5000;
  bool log_requests = false;
};

void add_edge_listen_options(CLI::App& app, EdgeListenOptions& options);
/// Wrong usage is told before anything is loaded: throws ConfigError for an address that is none,
/// and for options without `address`.
void check_edge_listen_options(const EdgeListenOptions& options);

/// The endpoint from construction to `stop`.
class EdgeListener {
 public:
  /// Binds and serves. `deadline` is that of requests which bring none; `pipeline` outlives this.
  /// Throws IoError when the address is in use, ConfigError for bad TLS files or tokens.
  EdgeListener(const EdgeListenOptions& options, EdgePipeline& pipeline,
               std::chrono::milliseconds deadline);
  /// stop().
  ~EdgeListener();
  EdgeListener(const EdgeListener&) = delete;
  EdgeListener& operator=(const EdgeListener&) = delete;

  /// An image of another source has its answer; `picture` of it, or null. Thread-safe.
  void count(const EdgeResult& result, std::shared_ptr<const Thumbnail> picture);
  /// Lets the requests that have begun finish within `drain_ms`, then closes. Idempotent.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
