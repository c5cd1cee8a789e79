#include "infer/cloud_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/threads.h"
#include "infer/cloud_service.h"
#include "infer/http_server.h"
#include "infer/measure_options.h"
#include "infer/plan_backend.h"
#include "infer/shutdown_signal.h"

namespace branchy {

void add_cloud_options(CLI::App& app, CloudCommandOptions& options) {
  app.add_option("--model", options.model, "Model file, e.g. cloud.safetensors of branchy export")
      ->required();
  app.add_option("--host", options.host, "Numeric address to listen on")->capture_default_str();
  app.add_option("--port", options.port, "Port to listen on, 0 for any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--port-file", options.port_file, "Write the port here when ready");
  app.add_option("--threads", options.threads, "Computing threads of a worker (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  app.add_option("--workers", options.workers,
                 "Requests computed at the same time; more than one needs --threads 1")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--queue", options.queue, "Requests that may wait; beyond: 503")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--max-connections", options.max_connections, "Open connections; beyond: 503")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--max-body-mib", options.max_body_mib, "Size of a request; beyond: 413")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--max-batch", options.max_batch, "Images of a request; beyond: 400")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--drain-ms", options.drain_ms, "Patience with open requests when stopping")
      ->check(CLI::Range(0, 600'000))
      ->capture_default_str();
  app.add_flag("--log-requests", options.log_requests, "One line on stderr for each request");
  add_measure_options(app, options.measure, options.repeat);
}

int run_cloud_command(const CloudCommandOptions& options) {
  const std::int64_t threads = options.threads > 0 ? options.threads : num_available_cpus();
  if (options.workers > 1 && threads > 1) {
    throw ConfigError(
        fmt::format("[threads] {} workers of {} threads each would fight for the "
                    "same CPUs; give --threads 1 with --workers {}",
                    options.workers, threads, options.workers));
  }
  const ShutdownSignal shutdown;
  set_num_threads(threads);
  if (!options.measure.empty()) {
    write_measured_times(load_served_model(options.model), options.measure, options.repeat,
                         [&] { return shutdown.requested(); });
    return 0;
  }

  CloudService::Log log;
  if (options.log_requests) {
    log = [](const std::string& line) { fmt::print(stderr, "branchy-cloud: {}\n", line); };
  }
  CloudService service(std::move(log));
  HttpServerOptions server_options{.host = options.host,
                                   .port = options.port,
                                   .workers = options.workers,
                                   .queue_limit = options.queue,
                                   .max_connections = options.max_connections,
                                   .body_limit_bytes = options.max_body_mib << 20};
  // OpenMP's thread count belongs to the thread that sets it.
  server_options.on_worker_start = [threads] { set_num_threads(threads); };
  HttpServer server(server_options, service.quick_handler(), service.handler());
  server.start();

  auto backend = std::make_shared<PlanBackend>(load_served_model(options.model), options.max_batch);
  backend->warm_up();
  service.set_backend(backend);
  if (!options.port_file.empty()) {
    write_file_atomically(options.port_file, fmt::format("{}\n", server.port()));
  }
  fmt::print(stderr, "listening on {}\n", HttpUrl{options.host, server.port()}.to_string());

  shutdown.wait();
  server.stop(std::chrono::milliseconds(options.drain_ms));
  return 0;
}

}  // namespace branchy
