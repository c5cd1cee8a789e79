// Fuzz target: the first byte says in what pieces the rest, a connection's bytes, arrives. Whatever
// the pieces, the same requests come out; each within the limits and framed in one way only; and
// bodies decode within their limit or are refused.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "infer/content_encoding.h"
#include "infer/http_request_reader.h"

namespace {

using namespace branchy;

constexpr HttpRequestLimits kLimits{.header_bytes = 512, .header_fields = 16, .body_bytes = 2000};

void require(bool holds) {
  if (!holds) std::abort();
}

std::size_t num_fields(const HttpRequest& request, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(request.headers.begin(), request.headers.end(),
                    [&](const auto& field) { return find_header({field}, name).has_value(); }));
}

void require_sound(const HttpRequest& request) {
  require(request.body.size() <= kLimits.body_bytes);
  require(request.headers.size() <= kLimits.header_fields);
  require(request.target.starts_with('/') || request.target == "*");
  require(num_fields(request, "Host") <= 1);
  require(num_fields(request, "Content-Length") + num_fields(request, "Transfer-Encoding") <= 1);
  for (const auto& [name, value] : request.headers) {
    require(!name.empty() && name.find_first_of(" :\r\n") == std::string::npos);
    require(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  }
  std::string decoded;
  for (const ContentCoding coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    const DecodeOutcome outcome = decode_content(coding, request.body, 5000, decoded);
    require(decoded.size() <= 5000);
    require(outcome != DecodeOutcome::kDone || !request.body.empty());
  }
  const auto accepted = find_header(request.headers, "Accept-Encoding");
  if (accepted) (void)parse_accept_encoding(*accepted);
}

struct Outcome {
  std::vector<std::string> requests;
  int refused = 0;  // the status that ends them
};

Outcome read_all(std::string_view stream, std::size_t step) {
  Outcome outcome;
  std::string waiting;
  auto reader = std::make_unique<HttpRequestReader>(kLimits);
  for (;;) {
    const std::size_t used = reader->read(waiting);
    require(used <= waiting.size());
    waiting.erase(0, used);
    if (reader->refusal()) {
      outcome.refused = reader->refusal()->status;
      require(outcome.refused >= 400 && outcome.refused < 500);
      return outcome;
    }
    if (reader->complete()) {
      const HttpRequest& request = reader->request();
      require_sound(request);
      outcome.requests.push_back(request.method + ' ' + request.target + '\n' + request.body +
                                 (reader->keep_alive() ? "" : "\nclose"));
      reader = std::make_unique<HttpRequestReader>(kLimits);
      continue;
    }
    if (used > 0) continue;  // the header has ended, or a part of the body has come
    require(waiting.size() <= kLimits.header_bytes);
    if (stream.empty()) return outcome;
    waiting += stream.substr(0, step);
    stream.remove_prefix(std::min(step, stream.size()));
  }
}

// A refusal may come later in pieces, when the header is whole; and a line between chunks may pass
// in one piece that is too long to be kept until it is whole.
bool agree(const Outcome& whole, const Outcome& pieces) {
  if (whole.requests == pieces.requests) return true;
  return pieces.refused == 431 && pieces.requests.size() < whole.requests.size() &&
         std::equal(pieces.requests.begin(), pieces.requests.end(), whole.requests.begin());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t step = 1 + data[0] % 64;
  require(agree(read_all(stream, stream.size() + 1), read_all(stream, step)));
  return 0;
}
