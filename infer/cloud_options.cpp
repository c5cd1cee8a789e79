#include "infer/cloud_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "core/error.h"
#include "core/threads.h"
#include "infer/measure_options.h"

namespace branchy {
namespace {

void add_address_options(CLI::App& app, CloudCommandOptions& options) {
  app.add_option("--host", options.host, "Numeric address to listen on")->capture_default_str();
  app.add_option("--port", options.port, "Port to listen on, 0 for any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--port-file", options.port_file, "Write the port here when ready");
  auto* metrics = app.add_option(
      "--metrics-port", options.metrics_port,
      "Serve /metrics on this port of --host instead, plain and without token; 0: any free one");
  metrics->check(CLI::Range(0, 65535));
  app.add_option("--metrics-port-file", options.metrics_port_file, "Write that port here")
      ->needs(metrics);
  app.add_option("--token-file", options.token_file,
                 "Accept requests with one of these bearer tokens only, one a line; health needs "
                 "none");
  auto* certificate = app.add_option("--tls-cert", options.tls_certificate,
                                     "Speak HTTPS with this certificate (PEM, chain included)");
  auto* key = app.add_option("--tls-key", options.tls_key, "Key of --tls-cert (PEM)");
  certificate->needs(key);
  key->needs(certificate);
}

void add_limit_options(CLI::App& app, CloudCommandOptions& options) {
  app.add_option("--queue", options.queue, "Requests that may wait; beyond: 503")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--max-connections", options.max_connections, "Open connections; beyond: 503")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--max-body-mib", options.max_body_mib, "Size of a request; beyond: 413")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--max-wait-ms", options.max_wait_ms,
                 "Answer 504 instead of beginning a request that came longer ago and brought no "
                 "Branchy-Timeout-Ms; 0: never")
      ->check(CLI::Range(0, 86'400'000))
      ->capture_default_str();
  app.add_option("--drain-ms", options.drain_ms, "Patience with open requests when stopping")
      ->check(CLI::Range(0, 600'000))
      ->capture_default_str();
  app.add_option("--drain-delay-ms", options.drain_delay_ms,
                 "When stopping, first go on for so long with /v2/health/ready at 503, so that a "
                 "balancer turns away")
      ->check(CLI::Range(0, 600'000))
      ->capture_default_str();
}

void add_computing_options(CLI::App& app, CloudCommandOptions& options) {
  app.add_option("--threads", options.threads, "Computing threads of a worker (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  app.add_option("--workers", options.workers,
                 "Batches computed at the same time; more than one needs --threads 1")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--max-batch", options.max_batch, "Images of a request; beyond: 400")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--batch-rows", options.batch_rows,
                 "Images of several requests that are computed together, never more than "
                 "--max-batch; 1: each request by itself")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--batch-wait-us", options.batch_wait_us,
                 "How long a request waits for others to be computed with, in microseconds; 0: it "
                 "is joined only with those that wait for a worker")
      ->check(CLI::Range(0, 60'000'000))
      ->capture_default_str();
}

}  // namespace

std::int64_t CloudCommandOptions::num_threads() const {
  return threads > 0 ? threads : num_available_cpus();
}

void add_cloud_options(CLI::App& app, CloudCommandOptions& options) {
  app.add_option("--model", options.model,
                 "Model file, e.g. cloud.safetensors of branchy export; served under the name of "
                 "its network as version 1");
  app.add_option("--models", options.models,
                 "Directory of models, one file in each <model>/<version>/; SIGHUP reads it again, "
                 "as it does tokens and "
                 "certificate");
  add_address_options(app, options);
  add_computing_options(app, options);
  add_limit_options(app, options);
  app.add_flag("--log-requests", options.log_requests, "One line on stderr for each request");
  add_measure_options(app, options.measure, options.repeat);
}

void check_cloud_options(const CloudCommandOptions& options) {
  if (options.model.empty() && options.models.empty())
    throw ConfigError("[cloud] no model; give --model FILE or --models DIR");
  if (!options.measure.empty() && options.model.empty())
    throw ConfigError("[cloud] --measure times one model; give --model FILE");
  if (options.workers > 1 && options.num_threads() > 1) {
    throw ConfigError(
        fmt::format("[threads] {} workers of {} threads each would fight for the "
                    "same CPUs; give --threads 1 with --workers {}",
                    options.workers, options.num_threads(), options.workers));
  }
}

}  // namespace branchy
