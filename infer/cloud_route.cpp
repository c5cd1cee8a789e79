#include "infer/cloud_route.h"

#include <algorithm>
#include <cstddef>

namespace branchy {
namespace {

std::string_view take_segment(std::string_view& path) {
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string_view segment = path.substr(0, end);
  path.remove_prefix(std::min(end + 1, path.size()));
  return segment;
}

bool is_posted(CloudEndpoint endpoint) {
  return endpoint == CloudEndpoint::kInfer || endpoint == CloudEndpoint::kIndex;
}

}  // namespace

CloudRoute find_cloud_route(std::string_view path) {
  if (path == "/v2" || path == "/v2/") return {.endpoint = CloudEndpoint::kServer};
  if (path == "/v2/health/live") return {.endpoint = CloudEndpoint::kLive};
  if (path == "/v2/health/ready") return {.endpoint = CloudEndpoint::kReady};
  if (path == "/metrics") return {.endpoint = CloudEndpoint::kMetrics};
  if (path == "/v2/repository/index") return {.endpoint = CloudEndpoint::kIndex};
  constexpr std::string_view kModels = "/v2/models/";
  CloudRoute route;
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
  if (verb.empty()) route.endpoint = CloudEndpoint::kModel;
  if (verb == "ready") route.endpoint = CloudEndpoint::kModelReady;
  if (verb == "infer") route.endpoint = CloudEndpoint::kInfer;
  return route;
}

std::string_view allowed_methods(CloudEndpoint endpoint) {
  return is_posted(endpoint) ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
}

bool allows_method(CloudEndpoint endpoint, std::string_view method) {
  return is_posted(endpoint) ? method == "POST" : method == "GET" || method == "HEAD";
}

}  // namespace branchy
