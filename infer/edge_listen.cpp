#include "infer/edge_listen.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "core/atomic_file.h"
#include "core/error.h"
#include "infer/bearer_token.h"
#include "infer/edge_pipeline.h"
#include "infer/edge_service.h"
#include "infer/http_server.h"
#include "infer/http_server_metrics.h"
#include "infer/listen_address.h"
#include "infer/request_record.h"

namespace branchy {
namespace {

constexpr const char* kGroup = "The edge's own HTTP endpoint";

EdgeIntakeOptions intake_options(const EdgeListenOptions& options,
                                 std::chrono::milliseconds deadline) {
  return {.max_rows = options.max_batch,
          .max_megapixels = options.max_megapixels,
          .decoders = options.decoders,
          .queue = options.max_requests,
          .deadline = deadline};
}

HttpServerOptions server_options(const EdgeListenOptions& options) {
  const ListenAddress address = parse_listen_address(options.address, "--listen");
  HttpServerOptions server{.host = address.host,
                           .port = address.port,
                           .max_connections = options.max_connections,
                           .body_limit_bytes = options.max_body_mib << 20,
                           .tls_certificate = options.tls_certificate,
                           .tls_key = options.tls_key,
                           .open_path = is_open_edge_path};
  if (!options.token_file.empty()) server.tokens = read_bearer_tokens(options.token_file);
  return server;
}

EdgeService::Log request_log(bool wanted) {
  if (!wanted) return {};
  return [](const std::string& line) { write_log_line("branchy-edge", line); };
}

}  // namespace

struct EdgeListener::Impl {
  Impl(const EdgeListenOptions& options, EdgePipeline& the_pipeline,
       std::chrono::milliseconds deadline)
      : pipeline(the_pipeline),
        drain_limit(options.drain_ms),
        service(pipeline, intake_options(options, deadline), request_log(options.log_requests)),
        server(server_options(options), service.quick_handler(), service.handler()) {
    add_http_server_metrics(service.metrics(), server);
  }
  ~Impl() { stop(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // In this order: nothing new comes, what has come is decoded, what is decoded is answered.
  void stop() {
    if (std::exchange(is_stopped, true)) return;
    server.stop(drain_limit);
    service.stop();
    pipeline.drain();
  }

  EdgePipeline& pipeline;
  std::chrono::milliseconds drain_limit;
  EdgeService service;
  HttpServer server;
  bool is_stopped = false;
};

void add_edge_listen_options(CLI::App& app, EdgeListenOptions& options) {
  auto* listen =
      app.add_option("--listen", options.address,
                     "Serve HTTP on HOST:PORT (port 0: any free one), beside the other sources or "
                     "alone, until SIGTERM: POST /v2/models/{name}/infer with JPEG, PNG or pixels, "
                     "/metrics, and a live page at /")
          ->group(kGroup);
  const auto add = [&](const char* name, auto& value, const char* text) {
    return app.add_option(name, value, text)->needs(listen)->group(kGroup);
  };
  add("--port-file", options.port_file, "Write the port here when ready");
  add("--token-file", options.token_file,
      "Clients must send one of the tokens in this file (one a line) as Authorization: Bearer; "
      "health and the page itself are open");
  auto* certificate =
      add("--tls-cert", options.tls_certificate, "Serve HTTPS with this certificate chain (PEM)");
  add("--tls-key", options.tls_key, "The certificate's key (PEM)")->needs(certificate);
  add("--max-connections", options.max_connections, "Open connections; beyond: 503")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  add("--max-requests", options.max_requests, "Requests that may wait to be read; beyond: 503")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  add("--decoders", options.decoders, "Requests read and decoded at the same time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  add("--max-body-mib", options.max_body_mib, "Size of a request; beyond: 413")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  add("--max-megapixels", options.max_megapixels, "Size of an image file's picture; beyond: 400")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  add("--max-batch", options.max_batch, "Images of a request; beyond: 400")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  add("--drain-ms", options.drain_ms, "Patience with open requests when stopping")
      ->check(CLI::Range(0, 600'000))
      ->capture_default_str();
  app.add_flag("--log-requests", options.log_requests, "One line on stderr for each request")
      ->needs(listen)
      ->group(kGroup);
}

void check_edge_listen_options(const EdgeListenOptions& options) {
  if (options.address.empty()) return;
  (void)parse_listen_address(options.address, "--listen");
  if (options.tls_certificate.empty() != options.tls_key.empty())
    throw ConfigError("[--tls-cert] needs --tls-key, and the other way round");
}

EdgeListener::EdgeListener(const EdgeListenOptions& options, EdgePipeline& pipeline,
                           std::chrono::milliseconds deadline)
    : impl_(std::make_unique<Impl>(options, pipeline, deadline)) {
  impl_->server.start();
  if (!options.port_file.empty())
    write_file_atomically(options.port_file, fmt::format("{}\n", impl_->server.port()));
  const HttpUrl url{.host = parse_listen_address(options.address, "--listen").host,
                    .port = impl_->server.port(),
                    .tls = !options.tls_certificate.empty()};
  write_log_line("branchy-edge", fmt::format("listening on {}", url.to_string()));
}

EdgeListener::~EdgeListener() = default;

void EdgeListener::count(const EdgeResult& result, std::shared_ptr<const Thumbnail> picture) {
  impl_->service.count(result, std::move(picture));
}

void EdgeListener::stop() { impl_->stop(); }

}  // namespace branchy
