// What a request's header decides before its body is read: may it come in, and how is it encoded?
#pragma once

#include <optional>

#include "infer/bearer_token.h"
#include "infer/content_encoding.h"
#include "infer/http_message.h"

namespace branchy {

struct HttpAdmission {
  std::optional<HttpResponse> refusal;  ///< 401 or 415; the members below count without one
  ContentCoding coding = ContentCoding::kIdentity;  ///< of the body
  AcceptedCoding accepted;                          ///< of the answer
};

/// Takes Content-Encoding out of the header, as the body will be decoded. `open_path`: the path
/// needs no token.
[[nodiscard]] HttpAdmission admit_request(HttpRequest& request, const BearerTokens& tokens,
                                          bool open_path);

}  // namespace branchy
