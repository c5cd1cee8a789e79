#include "infer/http_request_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace branchy {
namespace {

// What became of a message offered in pieces of `step` bytes.
struct Reading {
  int refused = 0;  // status
  bool complete = false;
  HttpRequest request;
  std::string rest;
  bool keep_alive = false;
};

Reading read(std::string_view message, std::size_t step = 1U << 20U,
             const HttpRequestLimits& limits = {}) {
  HttpRequestReader reader(limits);
  Reading reading;
  std::string waiting;
  while (!message.empty() && !reader.complete() && !reader.refusal()) {
    waiting += message.substr(0, step);
    message.remove_prefix(std::min(step, message.size()));
    for (int i = 0; i < 2; ++i) waiting.erase(0, reader.read(waiting));  // header, then body
  }
  if (reader.refusal()) {
    reading.refused = reader.refusal()->status;
  } else if (reader.complete()) {
    reading.complete = true;
    reading.request = reader.request();
    reading.keep_alive = reader.keep_alive();
  }
  reading.rest = waiting + std::string(message);
  return reading;
}

std::string with(const std::string& fields, const std::string& body = "") {
  return "POST /a HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" + body;
}

TEST(HttpRequestReader, ReadsInPiecesOfAnySize) {
  const std::string fixed = with("Content-Length: 5\r\nX: y\r\n", "hello") + "GET /next";
  const std::string chunked =
      with("Transfer-Encoding: chunked\r\n", "2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nHost: evil\r\n\r\n") +
      "GET /next";
  for (std::size_t step = 1; step < 40; ++step) {
    for (const std::string& message : {fixed, chunked}) {
      const Reading reading = read(message, step);
      ASSERT_TRUE(reading.complete) << message << step;
      EXPECT_EQ(reading.request.method, "POST");
      EXPECT_EQ(reading.request.target, "/a");
      EXPECT_EQ(reading.request.body, "hello");
      EXPECT_EQ(find_header(reading.request.headers, "host"), "x");
      EXPECT_TRUE(reading.keep_alive);
      EXPECT_EQ(reading.rest, "GET /next");
    }
  }
}

TEST(HttpRequestReader, RefusesAmbiguousFraming) {
  for (const char* fields : {
           "Content-Length: 1\r\nContent-Length: 2\r\n",
           "Content-Length: 1\r\nContent-Length: 1\r\n",
           "Content-Length: 1, 1\r\n",
           "Content-Length: +1\r\n",
           "Content-Length: -1\r\n",
           "Content-Length: 0x1\r\n",
           "Content-Length: \r\n",
           "Content-Length: 99999999999999999999\r\n",
           "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
           "Transfer-Encoding: gzip\r\nContent-Length: 1\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
           "Transfer-Encoding: gzip, chunked\r\n",
           "Transfer-Encoding: chunked, gzip\r\n",
           "Transfer-Encoding: xchunked\r\n",
           "Transfer-Encoding : chunked\r\n",
           "Transfer-Encoding: \vchunked\r\n",
           "Transfer-Encoding:\r\n",
           "Host: y\r\n",
       }) {
    const Reading reading = read(with(fields, "xGET / HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(reading.refused, 400) << fields;
  }
  EXPECT_EQ(read("GET / HTTP/1.1\r\n\r\n").refused, 400);  // no Host
  EXPECT_TRUE(read("GET / HTTP/1.0\r\n\r\n").complete);
  EXPECT_EQ(read("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").refused, 400);
}

TEST(HttpRequestReader, RefusesMalformedChunks) {
  for (const char* body : {"x\r\n", "-1\r\nx\r\n", "1\r\nxy\r\n", "fffffffffffffffff\r\n",
                           "1\nx\n0\n\n", "1;\x01\r\nx\r\n"}) {
    const std::string message = std::string(body) + "\r\n0\r\n\r\n";
    EXPECT_THAT(read(with("Transfer-Encoding: chunked\r\n", message)).refused,
                testing::AnyOf(400, 413))
        << body;
  }
}

TEST(HttpRequestReader, BoundsHeaderFieldsBodyAndChunkLines) {
  const HttpRequestLimits limits{.header_bytes = 1000, .header_fields = 10, .body_bytes = 100};
  for (const std::size_t step : {1U, 100U, 100'000U}) {
    EXPECT_EQ(read(with("X: " + std::string(2000, 'x')), step, limits).refused, 431);
    EXPECT_EQ(read(std::string(2000, 'G'), step, limits).refused, 431);
    std::string fields;
    for (int i = 0; i < 10; ++i) fields += "X: y\r\n";
    EXPECT_EQ(read(with(fields), step, limits).refused, 431);
    for (int i = 0; i < 1000; ++i) fields += "X: y\r\n";  // each small, never ending
    EXPECT_EQ(read(with(fields), step, {.header_bytes = 1000, .header_fields = 9999}).refused, 431);
    EXPECT_EQ(read(with(fields), step, limits).refused, 431);
    EXPECT_EQ(read(with("Content-Length: 101\r\n"), step, limits).refused, 413);
    EXPECT_TRUE(
        read(with("Content-Length: 100\r\n", std::string(100, 'x')), step, limits).complete);
    std::string chunks;
    for (int i = 0; i < 3; ++i) chunks.append("32\r\n").append(50, 'x').append("\r\n");
    EXPECT_EQ(read(with("Transfer-Encoding: chunked\r\n", chunks), step, limits).refused, 413);
    const std::string line = "1;" + std::string(5000, 'x');
    EXPECT_NE(read(with("Transfer-Encoding: chunked\r\n", line), step, limits).refused, 0);
    const std::string trailer = "0\r\nX: " + std::string(5000, 'x');
    EXPECT_NE(read(with("Transfer-Encoding: chunked\r\n", trailer), step, limits).refused, 0);
  }
}

TEST(HttpRequestReader, KeepsThePathOfATarget) {
  const auto target = [](const std::string& text, const std::string& method = "GET") {
    const Reading reading = read(method + " " + text + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return reading.refused != 0 ? std::to_string(reading.refused) : reading.request.target;
  };
  EXPECT_EQ(target("/v2/a?b=c"), "/v2/a?b=c");
  EXPECT_EQ(target("http://host:80/v2?x"), "/v2?x");
  EXPECT_EQ(target("HTTPS://host"), "/");
  EXPECT_EQ(target("http://host?x"), "/?x");
  EXPECT_EQ(target("*", "OPTIONS"), "*");
  for (const char* odd : {"*", "v2", "http:///v2", "http://", "ftp://host/", "host:80", "?x"}) {
    EXPECT_EQ(target(odd), "400") << odd;
  }
}

TEST(HttpRequestReader, KnowsOneExpectation) {
  HttpRequestReader reader({});
  const std::string message = with("Content-Length: 1\r\nExpect: 100-Continue\r\n");
  EXPECT_EQ(reader.read(message), message.size());
  EXPECT_TRUE(reader.expects_continue());
  EXPECT_EQ(read(with("Expect: 200-ok\r\n")).refused, 417);
}

}  // namespace
}  // namespace branchy
