// The paths of the Open Inference Protocol over HTTP, shared by all who serve it.
#pragma once

#include <string>
#include <string_view>

#include "infer/http_message.h"

namespace branchy {

enum class Endpoint { kServer, kLive, kReady, kModel, kModelReady, kInfer, kUnknown };

/// A path's endpoint and, for those of a model, the names that it carries (views of the path).
struct Route {
  Endpoint endpoint = Endpoint::kUnknown;
  std::string_view model = {};
  std::string_view version = {};  ///< empty when the path names none
};

[[nodiscard]] Route find_route(std::string_view path);

/// What the endpoint wants: "POST" for kInfer, else "GET".
[[nodiscard]] std::string_view method_of(Endpoint endpoint);

/// The body of GET /v2.
[[nodiscard]] std::string server_metadata_json();

/// A 405 that names what is allowed.
[[nodiscard]] HttpResponse wrong_method_response(std::string_view allowed);

}  // namespace branchy
