#include "infer/cloud_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <thread>
#include <utility>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/threads.h"
#include "infer/bearer_token.h"
#include "infer/cloud_service.h"
#include "infer/http_server.h"
#include "infer/measure_options.h"
#include "infer/model_repository.h"
#include "infer/plan_backend.h"
#include "infer/process_metrics.h"
#include "infer/request_record.h"
#include "infer/shutdown_signal.h"

namespace branchy {
namespace {

// Requests are read and checked on these; computing has the Batcher's.
constexpr std::size_t kReaders = 2;

void log(const std::string& line) { write_log_line("branchy-cloud", line); }

CloudServiceOptions service_options(const CloudCommandOptions& options) {
  CloudServiceOptions service{.max_wait = std::chrono::milliseconds(options.max_wait_ms),
                              .serve_metrics = options.metrics_port < 0,
                              .log_requests = options.log_requests,
                              .log = log};
  service.batching.workers = options.workers;
  service.batching.queue_limit = options.queue;
  service.batching.max_rows = std::min(options.batch_rows, options.max_batch);
  service.batching.wait = std::chrono::microseconds(options.batch_wait_us);
  // OpenMP's thread count belongs to the thread that sets it.
  service.batching.on_worker_start = [threads = options.num_threads()] {
    set_num_threads(threads);
  };
  return service;
}

HttpServerOptions server_options(const CloudCommandOptions& options) {
  HttpServerOptions server{.host = options.host,
                           .port = options.port,
                           .workers = kReaders,
                           .queue_limit = options.queue,
                           .max_connections = options.max_connections,
                           .body_limit_bytes = options.max_body_mib << 20,
                           .tls_certificate = options.tls_certificate,
                           .tls_key = options.tls_key,
                           .on_worker_start = unpin_this_thread};
  if (!options.token_file.empty()) server.tokens = read_bearer_tokens(options.token_file);
  return server;
}

// Serves /metrics alone.
std::unique_ptr<HttpServer> start_metrics_server(const CloudCommandOptions& options,
                                                 const CloudService& service) {
  if (options.metrics_port < 0) return nullptr;
  const auto answer = [&service](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.path() == "/metrics" && (request.method == "GET" || request.method == "HEAD"))
      return service.metrics_response();
    return error_response(404, "only GET /metrics is here");
  };
  auto server = std::make_unique<HttpServer>(
      HttpServerOptions{.host = options.host, .port = options.metrics_port, .max_connections = 64},
      answer, [](const HttpRequest&, const Responder&) {});
  server->start();
  return server;
}

ModelRepository repository_of(const CloudCommandOptions& options) {
  const auto loader = [&options](const std::filesystem::path& file) {
    auto backend = std::make_shared<PlanBackend>(load_served_model(file), options.max_batch);
    backend->warm_up(options.batch_rows);
    return backend;
  };
  return {{.file = options.model, .directory = options.models}, loader, log};
}

// What cannot be read again stays as it was.
void reload(const CloudCommandOptions& options, ModelRepository& repository, CloudService& service,
            HttpServer& server) {
  bool good = true;
  const auto attempt = [&](const auto& step) {
    try {
      step();
    } catch (const std::exception& error) {
      good = false;
      log(fmt::format("reload: {}", error.what()));
    }
  };
  attempt([&] {
    const std::shared_ptr<const ModelTable> models = repository.load();
    good = models->failed().empty();
    service.set_models(models);
  });
  attempt([&] { server.reload_tls(); });
  if (!options.token_file.empty())
    attempt([&] { server.set_tokens(read_bearer_tokens(options.token_file)); });
  service.metrics().count_reload(good);
  log(good ? "reloaded" : "reloaded in part");
}

void write_port(const std::string& file, const HttpServer& server) {
  if (!file.empty()) write_file_atomically(file, fmt::format("{}\n", server.port()));
}

}  // namespace

int run_cloud_command(const CloudCommandOptions& options) {
  check_cloud_options(options);
  // A reader of the log, or of an answer, that is gone is no reason to end.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  const ShutdownSignal shutdown(ShutdownSignal::Hangup::kReloads);
  set_num_threads(options.num_threads());
  if (!options.measure.empty()) {
    write_measured_times(load_served_model(options.model), options.measure, options.repeat,
                         [&] { return shutdown.requested(); });
    return 0;
  }

  CloudService service(service_options(options));
  add_process_metrics(service.registry());
  HttpServer server(server_options(options), service.quick_handler(), service.handler());
  const StopGuard stop_service(service);
  service.metrics().watch(server, [&] { return service.num_waiting(); });
  const std::unique_ptr<HttpServer> metrics_server = start_metrics_server(options, service);
  server.start();

  ModelRepository repository = repository_of(options);
  const std::shared_ptr<const ModelTable> models = repository.load();
  if (models->empty())
    throw DataError(
        fmt::format("[cloud] no model could be loaded from {}; expected "
                    "<model>/<version>/<any>.safetensors there",
                    options.models));
  service.set_models(models);
  write_port(options.port_file, server);
  if (metrics_server) write_port(options.metrics_port_file, *metrics_server);
  const HttpUrl url{options.host, server.port(), !options.tls_certificate.empty()};
  log(fmt::format("listening on {}", url.to_string()));

  while (shutdown.wait_for_reload()) reload(options, repository, service, server);
  service.begin_drain();
  std::this_thread::sleep_for(std::chrono::milliseconds(options.drain_delay_ms));
  server.stop(std::chrono::milliseconds(options.drain_ms));
  return 0;
}

}  // namespace branchy
