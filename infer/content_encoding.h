// Content-Encoding (RFC 9110): bodies compressed by gzip or deflate, and which of them to use.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "infer/http_message.h"

namespace branchy {

enum class ContentCoding { kIdentity, kGzip, kDeflate };

/// `gzip`, `deflate` or `identity`.
[[nodiscard]] std::string_view to_string(ContentCoding coding);
/// Reads a Content-Encoding header; nothing when it names another coding, or several.
[[nodiscard]] std::optional<ContentCoding> parse_content_coding(std::string_view value);

enum class DecodeOutcome {
  kDone,
  kTooLarge,   ///< more than the limit comes out
  kMalformed,  ///< truncated, damaged, or followed by something else
};
/// Decodes `body` into `decoded`, which never grows beyond `limit_bytes`. `deflate` may come with
/// or without its zlib header, as both are in use. On failure `decoded` holds no more than was
/// decoded.
[[nodiscard]] DecodeOutcome decode_content(ContentCoding coding, std::string_view body,
                                           std::uint64_t limit_bytes, std::string& decoded);

/// What a client wants of an answer, by its Accept-Encoding header.
struct AcceptedCoding {
  ContentCoding coding = ContentCoding::kIdentity;
  bool by_name = false;  ///< not by `*`
};
/// The coding of the highest q value, gzip where they tie; identity when the client ranks it
/// higher, or asks for nothing that is known here.
[[nodiscard]] AcceptedCoding parse_accept_encoding(std::string_view value);

/// Compresses the body of an answer when the client accepts that and it pays: more than 1 KiB of
/// text, JSON or the like, or binary data (`application/octet-stream`) when the client named the
/// coding; and a tenth smaller at least. Adds Vary to what depends on it. Level 1: an answer's
/// bytes are looked at once.
void encode_answer(const AcceptedCoding& accepted, HttpResponse& response);

}  // namespace branchy
