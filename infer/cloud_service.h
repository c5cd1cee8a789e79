// CloudService: the routes of the Open Inference Protocol, from HTTP to a model and back.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "infer/batcher.h"
#include "infer/cloud_metrics.h"
#include "infer/http_server.h"
#include "infer/infer_backend.h"
#include "infer/inference_routes.h"
#include "infer/metrics_registry.h"
#include "infer/model_table.h"
#include "infer/request_record.h"

namespace branchy {

struct CloudServiceOptions {
  Batcher::Options batching = {};  ///< its `on_batch` is the service's own
  /// Requests without a time-out of their own are dropped when they have not begun so long after
  /// they came; 0: never.
  std::chrono::milliseconds max_wait{0};
  bool serve_metrics = true;  ///< GET /metrics here
  bool log_requests = false;  ///< one line a request; failures inside have theirs in any case
  std::function<void(const std::string&)> log = {};
};

/// Serves a table of models. Its functions are an HttpServer's handlers:
/// `HttpServer(options, service.quick_handler(), service.handler())`. The server's threads only
/// read and check; computing is the Batcher's.
///
/// The service holds Responders while requests wait, so `stop()` must be called before the server
/// is gone; `StopGuard` does so.
class CloudService {
 public:
  using Respond = std::function<void(HttpResponse)>;

  explicit CloudService(CloudServiceOptions options = {});
  /// stop().
  ~CloudService();
  CloudService(const CloudService&) = delete;
  CloudService& operator=(const CloudService&) = delete;

  /// Until then, and while the table is empty, /v2/health/ready and the models' routes answer 503.
  /// Again at any time, from any thread: requests that have begun keep their models.
  void set_models(std::shared_ptr<const ModelTable> models);
  /// A table of one model under its own name; throws ConfigError when that does not fit into a
  /// path.
  void set_backend(std::shared_ptr<InferBackend> backend) {
    set_models(ModelTable::of(std::move(backend)));
  }

  [[nodiscard]] HttpServer::QuickHandler quick_handler();
  [[nodiscard]] HttpServer::Handler handler();

  /// Health, metadata, metrics and refusals (404, 405, 503); nothing for what must be read.
  [[nodiscard]] std::optional<HttpResponse> quick(const HttpRequest& request);
  /// What quick() left. `respond` is called once, perhaps later and on another thread; every
  /// failure is a response.
  void answer(const HttpRequest& request, Respond respond);
  /// The same, waiting for the answer.
  [[nodiscard]] HttpResponse infer(const HttpRequest& request);

  /// From now on /v2/health/ready answers 503, and no batch waits for others.
  void begin_drain();
  /// Answers what waits with 503 and joins the workers. Idempotent.
  void stop() { batcher_->stop(); }

  [[nodiscard]] MetricsRegistry& registry() { return registry_; }
  [[nodiscard]] CloudMetrics& metrics() { return metrics_; }
  [[nodiscard]] std::size_t num_waiting() const { return batcher_->num_waiting(); }
  /// The answer to GET /metrics.
  [[nodiscard]] HttpResponse metrics_response() const;

 private:
  struct Served {
    std::shared_ptr<const ModelTable> models;
    std::map<std::string, std::shared_ptr<const ModelMetrics>, std::less<>> metrics;  // by model
  };
  struct Exchange;

  [[nodiscard]] std::shared_ptr<const Served> served() const;
  [[nodiscard]] std::optional<HttpResponse> quick_unreported(const HttpRequest& request) const;
  [[nodiscard]] HttpResponse model_response(const Route& route, const Served& served) const;
  void index(const HttpRequest& request, const Respond& respond) const;
  void submit(const std::shared_ptr<Exchange>& exchange, const HttpRequest& request);
  void finish(Exchange& exchange, const InferRequest& request, InferResult result,
              const BatchTimes& times);
  void fail(Exchange& exchange, const std::exception_ptr& error);
  void reply(Exchange& exchange, HttpResponse response);

  CloudServiceOptions options_;
  MetricsRegistry registry_;
  CloudMetrics metrics_;
  mutable std::mutex mutex_;  // guards served_
  std::shared_ptr<const Served> served_;
  std::atomic<bool> draining_{false};
  std::atomic<std::uint64_t> num_requests_{0};
  std::unique_ptr<Batcher> batcher_;  // last: its workers use all of the above
};

/// Stops a service at the end of its life: declare it behind the server.
class StopGuard {
 public:
  explicit StopGuard(CloudService& service) : service_(service) {}
  ~StopGuard() { service_.stop(); }
  StopGuard(const StopGuard&) = delete;
  StopGuard& operator=(const StopGuard&) = delete;

 private:
  CloudService& service_;
};

}  // namespace branchy
