#include "infer/content_encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace branchy {
namespace {

using testing::Contains;
using testing::Pair;

// Made by encode_answer() itself; other programs' output is below and in http_server_test.
std::string encoded(ContentCoding coding, std::string body) {
  HttpResponse response{.headers = {{"Content-Type", "text/plain"}}, .body = std::move(body)};
  encode_answer({coding, true}, response);
  EXPECT_EQ(find_header(response.headers, "Content-Encoding"), to_string(coding));
  return response.body;
}

DecodeOutcome decode(ContentCoding coding, std::string_view body, std::uint64_t limit,
                     std::string& decoded) {
  return decode_content(coding, body, limit, decoded);
}

TEST(ContentEncoding, DecodesWhatItEncoded) {
  for (const ContentCoding coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    for (const std::size_t size : {2000U, 65536U, 65537U, 1'000'000U}) {
      std::string body(size, ' ');
      for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>('0' + i % 10);
      const std::string packed = encoded(coding, body);
      EXPECT_LT(packed.size(), size / 4);
      std::string decoded;
      EXPECT_EQ(decode(coding, packed, size, decoded), DecodeOutcome::kDone);
      EXPECT_EQ(decoded, body);
      EXPECT_EQ(decode(coding, packed, size - 1, decoded), DecodeOutcome::kTooLarge);
      EXPECT_LE(decoded.size(), size - 1);
    }
  }
}

// "hello", by Python's gzip.compress(mtime=0), zlib.compress() and zlib's raw deflate.
constexpr char kGzip[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00"
    "\x00\x00";
constexpr char kZlib[] = "\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15";
constexpr char kRaw[] = "\xcb\x48\xcd\xc9\xc9\x07\x00";

std::string_view bytes(const char* text, std::size_t size) { return {text, size - 1}; }

TEST(ContentEncoding, DecodesOtherProgramsOutput) {
  const std::string_view gzip = bytes(kGzip, sizeof kGzip);
  std::string decoded;
  EXPECT_EQ(decode(ContentCoding::kGzip, gzip, 5, decoded), DecodeOutcome::kDone);
  EXPECT_EQ(decoded, "hello");
  EXPECT_EQ(decode(ContentCoding::kDeflate, bytes(kZlib, sizeof kZlib), 5, decoded),
            DecodeOutcome::kDone);
  EXPECT_EQ(decoded, "hello");
  EXPECT_EQ(decode(ContentCoding::kDeflate, bytes(kRaw, sizeof kRaw), 5, decoded),
            DecodeOutcome::kDone);
  EXPECT_EQ(decoded, "hello");
  const std::string members = std::string(gzip) + std::string(gzip);
  EXPECT_EQ(decode(ContentCoding::kGzip, members, 10, decoded), DecodeOutcome::kDone);
  EXPECT_EQ(decoded, "hellohello");
}

TEST(ContentEncoding, RefusesEveryTruncationAndDamage) {
  const std::string gzip(bytes(kGzip, sizeof kGzip));
  std::string decoded;
  for (std::size_t size = 0; size < gzip.size(); ++size) {
    EXPECT_EQ(decode(ContentCoding::kGzip, gzip.substr(0, size), 100, decoded),
              DecodeOutcome::kMalformed)
        << size;
  }
  std::string damaged = gzip;
  damaged[18] = 'x';  // the checksum's first bytes
  EXPECT_EQ(decode(ContentCoding::kGzip, damaged, 100, decoded), DecodeOutcome::kMalformed);
  EXPECT_EQ(decode(ContentCoding::kGzip, gzip + "x", 100, decoded), DecodeOutcome::kMalformed);
  EXPECT_EQ(decode(ContentCoding::kDeflate, gzip, 100, decoded), DecodeOutcome::kMalformed);
}

TEST(ContentEncoding, StopsAtTheLimitOfABomb) {
  std::string bomb = encoded(ContentCoding::kGzip, std::string(64 << 20, '\0'));
  EXPECT_LT(bomb.size(), 400'000);
  std::string decoded;
  EXPECT_EQ(decode(ContentCoding::kGzip, bomb, 1 << 20, decoded), DecodeOutcome::kTooLarge);
  EXPECT_LE(decoded.capacity(), 3U << 20U);
}

TEST(ContentEncoding, KnowsItsNames) {
  EXPECT_EQ(parse_content_coding(""), ContentCoding::kIdentity);
  EXPECT_EQ(parse_content_coding("identity"), ContentCoding::kIdentity);
  EXPECT_EQ(parse_content_coding(" GZip "), ContentCoding::kGzip);
  EXPECT_EQ(parse_content_coding("x-gzip"), ContentCoding::kGzip);
  EXPECT_EQ(parse_content_coding("deflate"), ContentCoding::kDeflate);
  for (const char* unknown : {"br", "gzip, gzip", "gzip,deflate", "zstd", "gzip;q=1"}) {
    EXPECT_EQ(parse_content_coding(unknown), std::nullopt) << unknown;
  }
}

TEST(ContentEncoding, HonoursTheClientsOrder) {
  const auto coding = [](std::string_view value) { return parse_accept_encoding(value).coding; };
  EXPECT_EQ(coding(""), ContentCoding::kIdentity);
  EXPECT_EQ(coding("gzip, deflate, br"), ContentCoding::kGzip);
  EXPECT_EQ(coding("gzip;q=0.5, deflate;q=0.8"), ContentCoding::kDeflate);
  EXPECT_EQ(coding("gzip;q=0"), ContentCoding::kIdentity);
  EXPECT_EQ(coding("gzip;q=0.2, identity;q=0.5"), ContentCoding::kIdentity);
  EXPECT_EQ(coding("br"), ContentCoding::kIdentity);
  EXPECT_EQ(coding("*"), ContentCoding::kGzip);
  EXPECT_EQ(coding("*, gzip;q=0"), ContentCoding::kDeflate);
  EXPECT_EQ(coding("gzip;q=x"), ContentCoding::kIdentity);
  EXPECT_TRUE(parse_accept_encoding("gzip").by_name);
  EXPECT_FALSE(parse_accept_encoding("*").by_name);
}

HttpResponse answer(const AcceptedCoding& accepted, std::string type, std::string body) {
  HttpResponse response{.headers = {{"Content-Type", std::move(type)}}, .body = std::move(body)};
  encode_answer(accepted, response);
  return response;
}

TEST(ContentEncoding, EncodesOnlyWhereItPays) {
  const AcceptedCoding gzip{ContentCoding::kGzip, true};
  const AcceptedCoding any{ContentCoding::kGzip, false};
  const auto is_encoded = [](const HttpResponse& response) {
    return find_header(response.headers, "Content-Encoding").has_value();
  };
  const std::string zeros(2000, '0');
  EXPECT_TRUE(is_encoded(answer(gzip, "application/json", zeros)));
  EXPECT_TRUE(is_encoded(answer(any, "text/plain; charset=utf-8", zeros)));
  EXPECT_TRUE(is_encoded(answer(gzip, "application/octet-stream", zeros)));
  EXPECT_FALSE(is_encoded(answer(any, "application/octet-stream", zeros)));
  EXPECT_FALSE(is_encoded(answer(gzip, "image/png", zeros)));
  EXPECT_FALSE(is_encoded(answer(gzip, "application/json", std::string(1024, '0'))));
  EXPECT_FALSE(is_encoded(answer({}, "application/json", zeros)));
  std::string noise(5000, '\0');
  unsigned state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
  EXPECT_FALSE(is_encoded(answer(gzip, "application/octet-stream", noise)));
  EXPECT_THAT(answer({}, "application/json", zeros).headers,
              Contains(Pair("Vary", "Accept-Encoding")));
}

}  // namespace
}  // namespace branchy
