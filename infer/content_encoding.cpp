#include "infer/content_encoding.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>

#include "core/error.h"

namespace branchy {
namespace {

constexpr std::size_t kSmallestBytes = 1024;
constexpr std::size_t kStepBytes = 64 << 10;
constexpr std::string_view kBlank = " \t";

std::string lower_trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(kBlank), text.size());
  text = text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view take_until(std::string_view& text, char end) {
  const std::string_view head = text.substr(0, text.find(end));
  text.remove_prefix(std::min(head.size() + 1, text.size()));
  return head;
}

// zlib's windowBits: 15 bits with the zlib header, 16 more for gzip's, negative without any.
int window_bits(ContentCoding coding, std::string_view body) {
  if (coding == ContentCoding::kGzip) return 15 + 16;
  if (body.size() < 2) return 15;
  const unsigned first = static_cast<unsigned char>(body[0]);
  const unsigned second = static_cast<unsigned char>(body[1]);
  const bool has_header = (first & 0x0FU) == 8 && ((first << 8U) | second) % 31 == 0;
  return has_header ? 15 : -15;
}

class Inflater {
 public:
  Inflater(ContentCoding coding, std::string_view body) {
    if (::inflateInit2(&stream_, window_bits(coding, body)) != Z_OK) {
      throw Error("[content encoding] zlib cannot start");
    }
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream_.avail_in = static_cast<uInt>(body.size());
  }
  ~Inflater() { ::inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // zlib's code, after at most `bytes` were written to `dst`.
  int next(char* dst, std::size_t bytes, std::size_t& written) {
    stream_.next_out = reinterpret_cast<Bytef*>(dst);
    stream_.avail_out = static_cast<uInt>(bytes);
    const int code = ::inflate(&stream_, Z_NO_FLUSH);
    written = bytes - stream_.avail_out;
    return code;
  }
  [[nodiscard]] bool exhausted() const { return stream_.avail_in == 0; }
  // A gzip file may consist of several members.
  bool next_member() { return ::inflateReset(&stream_) == Z_OK; }

 private:
  z_stream stream_{};
};

double parse_q(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string parameter = lower_trimmed(take_until(parameters, ';'));
    if (!parameter.starts_with("q=")) continue;
    double q = 0;
    const char* end = parameter.data() + parameter.size();
    const auto [stop, error] = std::from_chars(parameter.data() + 2, end, q);
    return error == std::errc() && stop == end && q >= 0 && q <= 1 ? q : 0.0;
  }
  return 1.0;
}

bool is_text(std::string_view type) {
  return type.starts_with("text/") || type == "application/json" ||
         type == "application/javascript" || type.ends_with("+json") || type.ends_with("+xml");
}

std::string compress(ContentCoding coding, std::string_view body) {
  z_stream stream{};
  const int bits = coding == ContentCoding::kGzip ? 15 + 16 : 15;
  if (::deflateInit2(&stream, 1, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw Error("[content encoding] zlib cannot start");
  }
  std::string packed(::deflateBound(&stream, static_cast<uLong>(body.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int code = ::deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  ::deflateEnd(&stream);
  BRANCHY_DCHECK(code == Z_STREAM_END);
  return packed;
}

}  // namespace

std::string_view to_string(ContentCoding coding) {
  if (coding == ContentCoding::kGzip) return "gzip";
  return coding == ContentCoding::kDeflate ? "deflate" : "identity";
}

std::optional<ContentCoding> parse_content_coding(std::string_view value) {
  const std::string name = lower_trimmed(value);
  if (name.empty() || name == "identity") return ContentCoding::kIdentity;
  if (name == "gzip" || name == "x-gzip") return ContentCoding::kGzip;
  if (name == "deflate") return ContentCoding::kDeflate;
  return std::nullopt;
}

DecodeOutcome decode_content(ContentCoding coding, std::string_view body, std::uint64_t limit_bytes,
                             std::string& decoded) {
  decoded.clear();
  if (coding == ContentCoding::kIdentity) {
    if (body.size() > limit_bytes) return DecodeOutcome::kTooLarge;
    decoded = body;
    return DecodeOutcome::kDone;
  }
  if (body.size() > std::min<std::uint64_t>(limit_bytes + 4096, 1U << 31U)) {
    return DecodeOutcome::kTooLarge;  // compressed data that grows by more is no honest one
  }
  Inflater inflater(coding, body);
  std::size_t size = 0;
  for (;;) {
    // One byte more than the limit shows that it is passed; doubling keeps copies few.
    const std::uint64_t step = std::max<std::uint64_t>(kStepBytes, size);
    decoded.resize(static_cast<std::size_t>(std::min<std::uint64_t>(size + step, limit_bytes + 1)));
    std::size_t written = 0;
    const int code = inflater.next(decoded.data() + size, decoded.size() - size, written);
    size += written;
    decoded.resize(std::min<std::uint64_t>(size, limit_bytes));
    if (size > limit_bytes) return DecodeOutcome::kTooLarge;
    if (code == Z_STREAM_END) {
      if (inflater.exhausted()) return DecodeOutcome::kDone;
      if (coding != ContentCoding::kGzip || !inflater.next_member()) {
        return DecodeOutcome::kMalformed;
      }
    } else if (code != Z_OK || (written == 0 && inflater.exhausted())) {
      return DecodeOutcome::kMalformed;  // Z_BUF_ERROR: more was expected
    }
  }
}

AcceptedCoding parse_accept_encoding(std::string_view value) {
  // -1: not named. Identity needs no naming; it loses against any coding that is wanted.
  double gzip = -1;
  double deflate = -1;
  double identity = -1;
  double others = 0;
  while (!value.empty()) {
    std::string_view element = take_until(value, ',');
    const std::string name = lower_trimmed(take_until(element, ';'));
    const double q = parse_q(element);
    if (name == "gzip" || name == "x-gzip") gzip = q;
    if (name == "deflate") deflate = q;
    if (name == "identity") identity = q;
    if (name == "*") others = q;
  }
  const double gzip_q = gzip >= 0 ? gzip : others;
  const double deflate_q = deflate >= 0 ? deflate : others;
  const double best = std::max(gzip_q, deflate_q);
  if (best <= 0 || best < identity) return {};
  if (gzip_q >= deflate_q) return {ContentCoding::kGzip, gzip >= 0};
  return {ContentCoding::kDeflate, deflate >= 0};
}

void encode_answer(const AcceptedCoding& accepted, HttpResponse& response) {
  if (response.body.size() <= kSmallestBytes) return;
  if (find_header(response.headers, "Content-Encoding")) return;
  std::string_view rest = find_header(response.headers, "Content-Type").value_or("");
  const std::string type = lower_trimmed(take_until(rest, ';'));
  const bool text = is_text(type);
  if (!text && type != "application/octet-stream") return;
  response.headers.emplace_back("Vary", "Accept-Encoding");
  if (accepted.coding == ContentCoding::kIdentity || (!text && !accepted.by_name)) return;
  std::string packed = compress(accepted.coding, response.body);
  if (packed.size() > response.body.size() - response.body.size() / 10) return;
  response.body = std::move(packed);
  response.headers.emplace_back("Content-Encoding", to_string(accepted.coding));
}

}  // namespace branchy
