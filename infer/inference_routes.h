// The paths of the Open Inference Protocol over HTTP, and answers that all who serve it give alike.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "infer/http_message.h"
#include "infer/protocol.h"

namespace branchy {

enum class Endpoint {
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
struct Route {
  Endpoint endpoint = Endpoint::kUnknown;
  std::string_view model = {};
  std::string_view version = {};
};

/// `path` without its query.
[[nodiscard]] Route find_route(std::string_view path);

/// What OPTIONS and a wrong method get: 204 or 405 with the header Allow; nothing for a method that
/// the endpoint takes (POST, or GET and HEAD).
[[nodiscard]] std::optional<HttpResponse> method_response(std::string_view method, bool is_posted);
[[nodiscard]] bool is_posted(Endpoint endpoint);

/// The body of GET /v2; `extensions` beside binary_tensor_data, each as `,"name"`.
[[nodiscard]] std::string server_metadata_json(std::string_view extensions = {});

/// A 200 with a message of the protocol as its body.
[[nodiscard]] HttpResponse message_response(WireMessage message);

}  // namespace branchy
