#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "infer/content_encoding.h"
#include "tests/support/mutation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace branchy {
namespace {

test::Bytes seed(std::uint8_t step, const std::string& stream) {
  test::Bytes bytes(stream.begin(), stream.end());
  bytes.insert(bytes.begin(), step);
  return bytes;
}

std::string post(const std::string& fields, const std::string& body) {
  std::string message = "POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\n";
  return message.append(fields).append("\r\n").append(body);
}

TEST(HttpRequestFuzz, MutatedStreamsGiveTheSameRequestsInAnyPieces) {
  HttpResponse packed{.headers = {{"Content-Type", "text/plain"}}, .body = std::string(3000, 'x')};
  encode_answer({ContentCoding::kGzip, true}, packed);
  const std::string gzip = packed.body;
  const std::string fixed = post("Content-Length: 5\r\n", "hello");
  const std::string chunked = post("Transfer-Encoding: chunked\r\n",
                                   "5;a=\"b\"\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n"
                                   "X: trailer\r\n\r\n");
  const std::vector<test::Bytes> seeds = {
      seed(0, fixed + chunked + fixed),
      seed(7, chunked + "GET / HTTP/1.0\r\n\r\n"),
      seed(20, "GET http://host/v2?x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
      seed(3, "OPTIONS * HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=0.5, *;q=0\r\n\r\n"),
      seed(50,
           post("Content-Encoding: gzip\r\nContent-Length: " + std::to_string(gzip.size()) + "\r\n",
                gzip)),
      seed(5, post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
      seed(0, post("Transfer-Encoding: chunked\r\n", "0\r\nhello\r\n0\r\n\r")),
      seed(9, post("Expect: 100-continue\r\nContent-Length: 2\r\n", "hi")),
  };
  test::replay_mutations(seeds, 5'000, LLVMFuzzerTestOneInput);
}

TEST(HttpRequestFuzz, KeptInputsAreStillHandled) {
  EXPECT_GT(test::replay_corpus(BRANCHY_CORPUS, LLVMFuzzerTestOneInput), 20);
}

}  // namespace
}  // namespace branchy
