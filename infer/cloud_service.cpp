#include "infer/cloud_service.h"

#include <fmt/format.h>

#include <exception>
#include <future>
#include <utility>

#include "core/error.h"
#include "core/printable.h"
#include "infer/edge_exit_report.h"
#include "infer/protocol.h"
#include "infer/request_check.h"
#include "infer/request_deadline.h"

namespace branchy {

/// A request for inference on its way, owned by whoever works on it.
struct CloudService::Exchange {
  using Clock = std::chrono::steady_clock;

  RequestRecord record;
  Clock::time_point arrived;
  std::shared_ptr<const Served> served;  // the models that it began with
  ServedVersion version;
  std::shared_ptr<const ModelMetrics> metrics;
  EdgeExitCounts edge_exits;  // counted when the answer is a success
  Respond respond;
};

namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

HttpResponse unknown_model(const Route& route, const ModelTable& models) {
  std::string known;
  for (const std::string& name : models.models()) {
    known += known.empty() ? " " : ", ";
    known += name;
    for (const std::string& version : models.versions(name)) known += " " + version;
  }
  const std::string asked = route.version.empty()
                                ? printable(route.model)
                                : printable(route.model) + " version " + printable(route.version);
  return error_response(404,
                        fmt::format("model '{}' is not served here; served are:{}", asked, known));
}

EdgeExitCounts edge_exits_of(const HttpRequest& request) {
  const auto text = find_header(request.headers, kEdgeExitsHeader);
  return text ? parse_edge_exits(*text) : EdgeExitCounts{};
}

const WireTensor* find_output(const InferResponse& answer, std::string_view name) {
  for (const WireTensor& output : answer.outputs)
    if (output.name == name) return &output;
  return nullptr;
}

}  // namespace

CloudService::CloudService(CloudServiceOptions options)
    : options_(std::move(options)), metrics_(registry_, options_.batching.max_rows) {
  Batcher::Options batching = options_.batching;
  batching.on_batch = [this](const BatchReport& batch) { metrics_.count_batch(batch); };
  batcher_ = std::make_unique<Batcher>(std::move(batching));
}

CloudService::~CloudService() { stop(); }

void CloudService::set_models(std::shared_ptr<const ModelTable> models) {
  auto served = std::make_shared<Served>();
  for (const std::string& name : models->models())
    served->metrics[name] = metrics_.model(name, models->find(name, "")->description.num_exits);
  served->models = std::move(models);
  const std::lock_guard lock(mutex_);
  served_ = std::move(served);
}

std::shared_ptr<const CloudService::Served> CloudService::served() const {
  const std::lock_guard lock(mutex_);
  return served_;
}

HttpServer::QuickHandler CloudService::quick_handler() {
  return [this](const HttpRequest& request) { return quick(request); };
}

HttpServer::Handler CloudService::handler() {
  return [this](const HttpRequest& request, const Responder& respond) { answer(request, respond); };
}

std::optional<HttpResponse> CloudService::quick(const HttpRequest& request) {
  std::optional<HttpResponse> response = quick_unreported(request);
  if (!response || response->status >= 300) return response;
  try {
    metrics_.count_edge_exits(edge_exits_of(request));
  } catch (const HttpError& error) {
    return error_response(error.status(), error.what());
  }
  return response;
}

std::optional<HttpResponse> CloudService::quick_unreported(const HttpRequest& request) const {
  const Route route = find_route(request.path());
  const Endpoint endpoint = route.endpoint;
  if (endpoint == Endpoint::kUnknown || (endpoint == Endpoint::kMetrics && !options_.serve_metrics))
    return error_response(404, "no such path");
  if (auto refusal = method_response(request.method, is_posted(endpoint))) return refusal;
  if (endpoint == Endpoint::kServer)
    return json_response(server_metadata_json(R"(,"classification")"));
  if (endpoint == Endpoint::kLive) return json_response(R"({"live":true})");
  if (endpoint == Endpoint::kMetrics) return metrics_response();
  const std::shared_ptr<const Served> now = served();
  if (!now || now->models->empty()) return error_response(503, "the model is not ready yet");
  if (endpoint == Endpoint::kReady) {
    return draining_ ? error_response(503, "shutting down") : json_response(R"({"ready":true})");
  }
  if (endpoint == Endpoint::kIndex) return std::nullopt;
  return endpoint == Endpoint::kInfer && now->models->find(route.model, route.version)
             ? std::nullopt
             : std::optional(model_response(route, *now));
}

HttpResponse CloudService::model_response(const Route& route, const Served& served) const {
  const ServedVersion* version = served.models->find(route.model, route.version);
  if (version == nullptr) {
    if (route.endpoint == Endpoint::kInfer)
      metrics_.count({.status = 404}, *metrics_.unknown_model());
    return unknown_model(route, *served.models);
  }
  const ModelDescription& model = version->description;
  if (route.endpoint == Endpoint::kModelReady) {
    if (draining_) return error_response(503, "shutting down");
    return json_response(fmt::format(R"({{"name":"{}","ready":true}})", model.name));
  }
  return json_response(model_metadata_json(model, served.models->versions(model.name)));
}

HttpResponse CloudService::metrics_response() const {
  return {.headers = {{"Content-Type", std::string(kMetricsContentType)}},
          .body = registry_.text()};
}

void CloudService::index(const HttpRequest& request, const Respond& respond) const {
  try {
    const std::shared_ptr<const Served> now = served();
    respond(json_response(repository_index_json(*now->models, wants_ready_only(request.body))));
  } catch (const HttpError& error) {
    respond(error_response(error.status(), error.what()));
  }
}

void CloudService::answer(const HttpRequest& request, Respond respond) {
  const Route route = find_route(request.path());
  if (route.endpoint == Endpoint::kIndex) return index(request, respond);
  auto exchange = std::make_shared<Exchange>();
  exchange->respond = std::move(respond);
  exchange->arrived = request.arrived == Clock::time_point{} ? Clock::now() : request.arrived;
  exchange->record = {.number = num_requests_.fetch_add(1) + 1,
                      .client_id = {},
                      .model = std::string(route.model),
                      .version = std::string(route.version),
                      .bytes_in = request.body.size(),
                      .stages = {},
                      .failure = {}};
  exchange->served = served();
  const ServedVersion* version =
      exchange->served ? exchange->served->models->find(route.model, route.version) : nullptr;
  if (version == nullptr) {  // dropped by a reload after quick() had seen it
    exchange->metrics = metrics_.unknown_model();
    return reply(*exchange, exchange->served ? unknown_model(route, *exchange->served->models)
                                             : error_response(503, "the model is not ready yet"));
  }
  exchange->version = *version;
  exchange->metrics = exchange->served->metrics.find(version->description.name)->second;
  exchange->record.version = version->description.version;
  try {
    submit(exchange, request);
  } catch (const std::exception&) {
    fail(*exchange, std::current_exception());
  }
}

void CloudService::submit(const std::shared_ptr<Exchange>& exchange, const HttpRequest& request) {
  const ModelDescription& model = exchange->version.description;
  HttpRequest timed{.headers = request.headers, .arrived = exchange->arrived};
  BatchTask task{.backend = exchange->version.backend,
                 .request = {},
                 .key = {},
                 .deadline = request_deadline(timed, options_.max_wait),
                 .done = {}};
  exchange->edge_exits = edge_exits_of(request);
  if (task.deadline && *task.deadline <= Clock::now())
    throw HttpError(504, "too late: the time for this request has passed");
  task.request = parse_infer_request(request.body, find_header(request.headers, kInferenceHeader),
                                     model.inputs);
  exchange->record.client_id = task.request.id;
  check_inputs(task.request, model);
  check_outputs(task.request, model);
  task.rows = main_input(task.request, model).shape.front();
  exchange->record.rows = task.rows;
  task.key = task.backend->batch_key(task.request);
  exchange->record.stages.read = seconds(Clock::now() - exchange->arrived);
  task.done = [this, exchange](BatchTask& done, InferResult result, const BatchTimes& times) {
    finish(*exchange, done.request, std::move(result), times);
  };
  if (!batcher_->submit(task)) throw HttpError(503, "overloaded; try again later");
}

void CloudService::finish(Exchange& exchange, const InferRequest& request, InferResult result,
                          const BatchTimes& times) {
  StageSeconds& stages = exchange.record.stages;
  stages.batch_wait = seconds(times.batch_wait);
  stages.queue = seconds(times.queue);
  stages.compute = seconds(times.compute);
  if (const auto* error = std::get_if<std::exception_ptr>(&result)) return fail(exchange, *error);
  try {
    const Clock::time_point begin = Clock::now();
    auto& answer = std::get<InferResponse>(result);
    answer.model_name = exchange.version.description.name;
    answer.model_version = exchange.version.description.version;
    answer.id = request.id;
    answer.parameters["queue_ms"] = 1e3 * (stages.batch_wait + stages.queue);
    HttpResponse response = message_response(
        build_infer_response(answer, request, exchange.version.description.class_names));
    if (const WireTensor* exits = find_output(answer, "exit_index"))
      CloudMetrics::count_exits(int32_values(*exits), *exchange.metrics);
    stages.write = seconds(Clock::now() - begin);
    reply(exchange, std::move(response));
  } catch (const std::exception&) {
    fail(exchange, std::current_exception());
  }
}

void CloudService::fail(Exchange& exchange, const std::exception_ptr& error) {
  RequestRecord& record = exchange.record;
  try {
    std::rethrow_exception(error);
  } catch (const HttpError& known) {
    record.failure = known.what();
    return reply(exchange, error_response(known.status(), known.what()));
  } catch (const std::exception& inside) {
    record.failure = inside.what();
  }
  reply(exchange, error_response(500, fmt::format("internal error, request {}", record.number)));
}

void CloudService::reply(Exchange& exchange, HttpResponse response) {
  RequestRecord& record = exchange.record;
  record.status = response.status;
  record.bytes_out = response.body.size();
  metrics_.count(record, *exchange.metrics);
  if (response.status < 300) metrics_.count_edge_exits(exchange.edge_exits);
  if (options_.log && (options_.log_requests || response.status == 500))
    options_.log(log_line(record));
  exchange.respond(std::move(response));
}

HttpResponse CloudService::infer(const HttpRequest& request) {
  std::promise<HttpResponse> answered;
  answer(request, [&](HttpResponse response) { answered.set_value(std::move(response)); });
  return answered.get_future().get();
}

void CloudService::begin_drain() {
  draining_ = true;
  batcher_->hurry();
}

}  // namespace branchy
