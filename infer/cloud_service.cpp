#include "infer/cloud_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "core/error.h"
#include "core/printable.h"
#include "core/provenance.h"

namespace branchy {
namespace {

std::string server_metadata() {
  return fmt::format(R"({{"name":"branchy","version":"{}","extensions":["binary_tensor_data"]}})",
                     version_string());
}

enum class Endpoint { kServer, kLive, kReady, kModel, kModelReady, kInfer, kUnknown };

// A path's endpoint and, for those of a model, the names that it carries.
struct Route {
  Endpoint endpoint = Endpoint::kUnknown;
  std::string_view model;
  std::string_view version;
};

std::string_view take_segment(std::string_view& path) {
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string_view segment = path.substr(0, end);
  path.remove_prefix(std::min(end + 1, path.size()));
  return segment;
}

Route find_route(std::string_view path) {
  if (path == "/v2" || path == "/v2/") return {Endpoint::kServer, {}, {}};
  if (path == "/v2/health/live") return {Endpoint::kLive, {}, {}};
  if (path == "/v2/health/ready") return {Endpoint::kReady, {}, {}};
  constexpr std::string_view kModels = "/v2/models/";
  Route route;
  if (path.substr(0, kModels.size()) != kModels) return route;
  path.remove_prefix(kModels.size());
  route.model = take_segment(path);
  std::string_view verb = take_segment(path);
  if (verb == "versions") {
    route.version = take_segment(path);
    if (route.version.empty()) return route;
    verb = take_segment(path);
  }
  if (!path.empty() || route.model.empty()) return route;
  if (verb.empty()) route.endpoint = Endpoint::kModel;
  if (verb == "ready") route.endpoint = Endpoint::kModelReady;
  if (verb == "infer") route.endpoint = Endpoint::kInfer;
  return route;
}

HttpResponse wrong_method(std::string_view allowed) {
  HttpResponse response = error_response(405, fmt::format("only {} is allowed here", allowed));
  response.headers.emplace_back("Allow", allowed);
  return response;
}

bool is_encoded(const HttpRequest& request) {
  const auto encoding = find_header(request.headers, "Content-Encoding");
  return encoding && !encoding->empty() && *encoding != "identity";
}

}  // namespace

void CloudService::set_backend(std::shared_ptr<InferBackend> backend) {
  BRANCHY_DCHECK(!ready_.load());
  auto served = std::make_shared<Served>();
  served->model = backend->describe();
  served->backend = std::move(backend);
  const std::string& name = served->model.name;
  const bool plain = name.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789_.-") == std::string::npos;
  if (name.empty() || !plain) {
    throw ConfigError(
        fmt::format("[cloud] model name '{}' does not fit into a path; use letters, "
                    "digits, '_', '.' and '-'",
                    printable(name)));
  }
  served_ = std::move(served);
  ready_.store(true, std::memory_order_release);
}

HttpServer::QuickHandler CloudService::quick_handler() {
  return [this](const HttpRequest& request) { return quick(request); };
}

HttpServer::Handler CloudService::handler() {
  return [this](const HttpRequest& request, const Responder& respond) { respond(infer(request)); };
}

std::optional<HttpResponse> CloudService::quick(const HttpRequest& request) const {
  const Route route = find_route(request.path());
  if (route.endpoint == Endpoint::kUnknown) return error_response(404, "no such path");
  if (route.endpoint == Endpoint::kInfer) {
    if (request.method != "POST") return wrong_method("POST");
  } else if (request.method != "GET") {
    return wrong_method("GET");
  }
  if (route.endpoint == Endpoint::kServer) return json_response(server_metadata());
  if (route.endpoint == Endpoint::kLive) return json_response(R"({"live":true})");
  if (!ready_.load(std::memory_order_acquire)) {
    return error_response(503, "the model is not ready yet");
  }
  if (route.endpoint == Endpoint::kReady) return json_response(R"({"ready":true})");
  const ModelDescription& model = served_->model;
  if (route.model != model.name || !(route.version.empty() || route.version == model.version)) {
    return error_response(404, fmt::format("model '{}' is not served here; '{}' version {} is",
                                           printable(route.model), model.name, model.version));
  }
  if (route.endpoint == Endpoint::kModel) return json_response(model_metadata_json(model));
  if (route.endpoint == Endpoint::kModelReady) {
    return json_response(fmt::format(R"({{"name":"{}","ready":true}})", model.name));
  }
  if (is_encoded(request)) return error_response(415, "Content-Encoding is not supported");
  return std::nullopt;
}

HttpResponse CloudService::infer(const HttpRequest& request) {
  const std::uint64_t number = num_requests_.fetch_add(1) + 1;
  try {
    return run(*served_, request, number);
  } catch (const HttpError& error) {
    log(fmt::format("request {}: {} {}", number, error.status(), error.what()));
    return error_response(error.status(), error.what());
  } catch (const std::exception& error) {
    log(fmt::format("request {}: 500 {}", number, error.what()));
    return error_response(500, fmt::format("internal error, request {}", number));
  }
}

HttpResponse CloudService::run(const Served& served, const HttpRequest& request,
                               std::uint64_t number) {
  const auto start = std::chrono::steady_clock::now();
  InferRequest message = parse_infer_request(
      request.body, find_header(request.headers, kInferenceHeader), served.model.inputs);
  check_inputs(message, served.model);
  InferResponse answer = served.backend->infer(message);
  answer.model_name = served.model.name;
  answer.model_version = served.model.version;
  answer.id = std::move(message.id);
  WireMessage wire = build_infer_response(answer, message);
  HttpResponse response{.headers = {{"Content-Type", std::string(wire.content_type())}}};
  if (wire.json_bytes) {
    response.headers.emplace_back(kInferenceHeader, std::to_string(*wire.json_bytes));
  }
  response.body = std::move(wire.body);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  log(fmt::format("request {}: 200 {} {} {:.3f} ms", number, message.inputs.front().name,
                  shape_text(message.inputs.front().shape), took.count()));
  return response;
}

}  // namespace branchy
