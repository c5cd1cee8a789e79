#include "infer/cloud_service.h"

#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <utility>

#include "core/error.h"
#include "core/printable.h"
#include "infer/inference_routes.h"

namespace branchy {
namespace {

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
  const std::string_view method = method_of(route.endpoint);
  if (request.method != method) return wrong_method_response(method);
  if (route.endpoint == Endpoint::kServer) return json_response(server_metadata_json());
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
