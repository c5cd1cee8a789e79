#include "infer/inference_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/provenance.h"

namespace branchy {
namespace {

std::string_view take_segment(std::string_view& path) {
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string_view segment = path.substr(0, end);
  path.remove_prefix(std::min(end + 1, path.size()));
  return segment;
}

}  // namespace

Route find_route(std::string_view path) {
  if (path == "/v2" || path == "/v2/") return {.endpoint = Endpoint::kServer};
  if (path == "/v2/health/live") return {.endpoint = Endpoint::kLive};
  if (path == "/v2/health/ready") return {.endpoint = Endpoint::kReady};
  if (path == "/metrics") return {.endpoint = Endpoint::kMetrics};
  if (path == "/v2/repository/index") return {.endpoint = Endpoint::kIndex};
  constexpr std::string_view kModels = "/v2/models/";
  Route route;
  if (!path.starts_with(kModels)) return route;
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

bool is_posted(Endpoint endpoint) {
  return endpoint == Endpoint::kInfer || endpoint == Endpoint::kIndex;
}

std::optional<HttpResponse> method_response(std::string_view method, bool is_posted) {
  if (is_posted ? method == "POST" : method == "GET" || method == "HEAD") return std::nullopt;
  const std::string_view allowed = is_posted ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
  HttpResponse response =
      method == "OPTIONS" ? HttpResponse{.status = 204}
                          : error_response(405, fmt::format("only {} is allowed here", allowed));
  response.headers.emplace_back("Allow", allowed);
  return response;
}

std::string server_metadata_json(std::string_view extensions) {
  return fmt::format(R"({{"name":"branchy","version":"{}","extensions":["binary_tensor_data"{}]}})",
                     version_string(), extensions);
}

HttpResponse message_response(WireMessage message) {
  HttpResponse response{.headers = {{"Content-Type", std::string(message.content_type())}}};
  if (message.json_bytes)
    response.headers.emplace_back(kInferenceHeader, std::to_string(*message.json_bytes));
  response.body = std::move(message.body);
  return response;
}

}  // namespace branchy
