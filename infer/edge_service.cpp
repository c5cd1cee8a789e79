#include "infer/edge_service.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "core/printable.h"
#include "infer/edge_page.h"
#include "infer/inference_routes.h"
#include "infer/process_metrics.h"

namespace branchy {
namespace {

constexpr std::string_view kPagePath = "/";
constexpr std::string_view kStatusPath = "/v2/edge/status";

EdgeIdentity identity_of(const ServedModel& model) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {.model = model.info.config.name,
          .num_exits = model.info.config.early_exits + 1,
          .edge_exits = model.plan->part().last_exit,
          .started = std::chrono::duration_cast<std::chrono::milliseconds>(now).count()};
}

}  // namespace

bool is_open_edge_path(std::string_view path) { return path == kPagePath || is_health_path(path); }

EdgeService::EdgeService(EdgePipeline& pipeline, const EdgeIntakeOptions& options, Log log)
    : pipeline_(pipeline),
      log_(std::move(log)),
      model_(describe_edge(pipeline.model())),
      identity_(identity_of(pipeline.model())),
      statistics_(identity_.num_exits, started_),
      metrics_(registry_, pipeline, identity_.num_exits),
      intake_(pipeline, model_, options,
              {.row =
                   [this](const EdgeResult& result, std::shared_ptr<const Thumbnail> thumbnail) {
                     count(result, std::move(thumbnail));
                   },
               .request =
                   [this](int status, double ms, const std::string& text) {
                     metrics_.add_request(status, ms);
                     if (log_) log_(fmt::format("infer: {} {:.3f} ms, {}", status, ms, text));
                   }}) {
  add_process_metrics(registry_);
}

HttpServer::QuickHandler EdgeService::quick_handler() {
  return [this](const HttpRequest& request) { return quick(request); };
}

HttpServer::Handler EdgeService::handler() {
  return [this](HttpRequest request, const Responder& respond) {
    handle(std::move(request), respond);
  };
}

std::optional<HttpResponse> EdgeService::quick(const HttpRequest& request) const {
  const std::string_view path = request.path();
  const bool is_page = path == kPagePath;
  const bool is_status = path == kStatusPath;
  const Route route = find_route(path);
  const bool is_unknown =
      route.endpoint == Endpoint::kUnknown || route.endpoint == Endpoint::kIndex;
  if (is_unknown && !is_page && !is_status) return error_response(404, "no such path");
  if (auto response = method_response(request.method, is_posted(route.endpoint))) return response;
  if (is_page) return edge_page_response();
  if (is_status || route.endpoint == Endpoint::kMetrics) return std::nullopt;
  if (route.endpoint == Endpoint::kServer) return json_response(server_metadata_json());
  if (route.endpoint == Endpoint::kLive) return json_response(R"({"live":true})");
  if (route.endpoint == Endpoint::kReady) return json_response(R"({"ready":true})");
  if (route.model != model_.name || !(route.version.empty() || route.version == model_.version)) {
    return error_response(404, fmt::format("model '{}' is not served here; '{}' version {} is",
                                           printable(route.model), model_.name, model_.version));
  }
  if (route.endpoint == Endpoint::kModel) return json_response(model_metadata_json(model_));
  if (route.endpoint == Endpoint::kModelReady) {
    return json_response(fmt::format(R"({{"name":"{}","ready":true}})", model_.name));
  }
  return std::nullopt;
}

void EdgeService::handle(HttpRequest request, const Responder& respond) {
  const std::string_view path = request.path();
  if (find_route(path).endpoint == Endpoint::kMetrics) {
    return respond({.headers = {{"Content-Type", std::string(kMetricsContentType)}},
                    .body = registry_.text()});
  }
  if (path == kStatusPath) return respond(status(request));
  intake_.take(std::move(request), respond);
}

void EdgeService::count(const EdgeResult& result, std::shared_ptr<const Thumbnail> thumbnail) {
  metrics_.add(result.outcome);
  statistics_.add(result, std::move(thumbnail), pipeline_.status(), Clock::now());
}

HttpResponse EdgeService::status(const HttpRequest& request) {
  try {
    EdgeStatusQuery query = parse_status_query(request.target);
    if (query.started != identity_.started) query = {};
    const EdgeStatus now = pipeline_.status();
    const EdgeStatistics::Snapshot snapshot =
        statistics_.snapshot(query.since, query.after_image, now, Clock::now());
    const std::chrono::duration<double> uptime = Clock::now() - started_;
    HttpResponse response =
        json_response(edge_status_json(identity_, now, snapshot, uptime.count()));
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
  } catch (const HttpError& error) {
    return error_response(error.status(), error.what());
  }
}

}  // namespace branchy
