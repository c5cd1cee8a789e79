// EdgeService: an edge's own HTTP endpoint: inference, figures, and the live page.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "infer/edge_intake.h"
#include "infer/edge_metrics.h"
#include "infer/edge_pipeline.h"
#include "infer/edge_statistics.h"
#include "infer/edge_status.h"
#include "infer/http_server.h"
#include "infer/metrics_registry.h"

namespace branchy {

/// Its functions are an HttpServer's handlers; they never wait for an image, so that one worker
/// will do. Figures are of all images of the pipeline: those of requests, and those that `count` is
/// told.
class EdgeService {
 public:
  /// One line per infer request.
  using Log = std::function<void(const std::string&)>;

  /// As EdgeIntake: `pipeline` outlives the service, and is drained after `stop`.
  EdgeService(EdgePipeline& pipeline, const EdgeIntakeOptions& options, Log log = {});

  [[nodiscard]] HttpServer::QuickHandler quick_handler();
  [[nodiscard]] HttpServer::Handler handler();

  /// Health, metadata, the page, and refusals (404, 405); nothing for what needs work.
  [[nodiscard]] std::optional<HttpResponse> quick(const HttpRequest& request) const;
  /// The rest: infer, /metrics, /v2/edge/status.
  void handle(HttpRequest request, const Responder& respond);

  /// An image of another source has its answer: `result.file` says which. Thread-safe.
  void count(const EdgeResult& result, std::shared_ptr<const Thumbnail> thumbnail);
  /// What /metrics shows, for those who have more to tell.
  [[nodiscard]] MetricsRegistry& metrics() { return registry_; }
  /// EdgeIntake::stop().
  void stop() { intake_.stop(); }

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] HttpResponse status(const HttpRequest& request);

  EdgePipeline& pipeline_;
  Log log_;
  ModelDescription model_;
  EdgeIdentity identity_;
  Clock::time_point started_ = Clock::now();
  EdgeStatistics statistics_;
  MetricsRegistry registry_;
  EdgeMetrics metrics_;
  EdgeIntake intake_;  // last: its threads use the others
};

/// Whether a path needs no token: health, and the page, which asks for the token itself.
[[nodiscard]] bool is_open_edge_path(std::string_view path);

}  // namespace branchy
