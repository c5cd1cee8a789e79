#include "infer/http_admission.h"

#include <algorithm>

namespace branchy {
namespace {

HttpResponse unauthorized() {
  HttpResponse response = error_response(401, "a valid bearer token is needed");
  response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"branchy\"");
  return response;
}

HttpResponse unsupported_coding() {
  HttpResponse response = error_response(415, "Content-Encoding is not gzip, deflate or identity");
  response.headers.emplace_back("Accept-Encoding", "gzip, deflate");
  return response;
}

bool is_content_encoding(const HttpHeaders::value_type& field) {
  return find_header({field}, "Content-Encoding").has_value();
}

// Takes the field out of the header, as the body will be decoded. Nothing: several, or unknown.
std::optional<ContentCoding> take_coding(HttpHeaders& headers) {
  ContentCoding coding = ContentCoding::kIdentity;
  const auto first = std::find_if(headers.begin(), headers.end(), is_content_encoding);
  if (first == headers.end()) return coding;
  const std::optional<ContentCoding> found = parse_content_coding(first->second);
  headers.erase(first);
  if (find_header(headers, "Content-Encoding")) return std::nullopt;
  return found;
}

}  // namespace

HttpAdmission admit_request(HttpRequest& request, const BearerTokens& tokens, bool open_path) {
  HttpAdmission admission;
  if (!tokens.empty() && !open_path &&
      !tokens.allow(find_header(request.headers, "Authorization").value_or(""))) {
    admission.refusal = unauthorized();
    return admission;
  }
  const std::optional<ContentCoding> coding = take_coding(request.headers);
  if (!coding) {
    admission.refusal = unsupported_coding();
    return admission;
  }
  admission.coding = *coding;
  admission.accepted =
      parse_accept_encoding(find_header(request.headers, "Accept-Encoding").value_or(""));
  return admission;
}

}  // namespace branchy
