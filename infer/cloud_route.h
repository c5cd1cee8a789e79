// The paths of the Open Inference Protocol and who may be asked how.
#pragma once

#include <string_view>

namespace branchy {

enum class CloudEndpoint {
  kServer,      ///< /v2
  kLive,        ///< /v2/health/live
  kReady,       ///< /v2/health/ready
  kMetrics,     ///< /metrics
  kIndex,       ///< /v2/repository/index
  kModel,       ///< /v2/models/{m}[/versions/{v}]
  kModelReady,  ///< .../ready
  kInfer,       ///< .../infer
  kUnknown
};

/// An endpoint and, for those of a model, the names that the path carries (views into it; the
/// version is empty when the path has none).
struct CloudRoute {
  CloudEndpoint endpoint = CloudEndpoint::kUnknown;
  std::string_view model = {};
  std::string_view version = {};
};

/// `path` without its query.
[[nodiscard]] CloudRoute find_cloud_route(std::string_view path);
/// For the header Allow.
[[nodiscard]] std::string_view allowed_methods(CloudEndpoint endpoint);
[[nodiscard]] bool allows_method(CloudEndpoint endpoint, std::string_view method);

}  // namespace branchy
