#include "infer/inference_routes.h"

#include <fmt/format.h>

#include <algorithm>

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

std::string_view method_of(Endpoint endpoint) {
  return endpoint == Endpoint::kInfer ? "POST" : "GET";
}

std::string server_metadata_json() {
  return fmt::format(R"({{"name":"branchy","version":"{}","extensions":["binary_tensor_data"]}})",
                     version_string());
}

HttpResponse wrong_method_response(std::string_view allowed) {
  HttpResponse response = error_response(405, fmt::format("only {} is allowed here", allowed));
  response.headers.emplace_back("Allow", allowed);
  return response;
}

}  // namespace branchy
