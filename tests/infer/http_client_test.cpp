#include "infer/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "tests/infer/loopback.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::FakePeer;
using test::RawSocket;

Result<HttpExchange> get(int port, milliseconds timeout = milliseconds(5000)) {
  HttpClient client({"127.0.0.1", port}, {.body_limit_bytes = 1000});
  return client.exchange({}, timeout);
}

void expect_failure(const Result<HttpExchange>& result, FailureKind kind) {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.failure().kind, kind) << result.failure().text;
  EXPECT_EQ(result.failure().text.find('\n'), std::string::npos);
}

// Reads a request, sends `answer`, and closes.
std::function<void(RawSocket&)> answering(std::string answer) {
  return [answer](RawSocket& socket) {
    (void)socket.read_until("\r\n\r\n");
    socket.send(answer);
  };
}

TEST(HttpClient, RefusedConnectionsAreAValue) {
  int port = 0;
  {
    const FakePeer gone([](RawSocket&) {});
    port = gone.port();
  }
  expect_failure(get(port), FailureKind::kRefused);
}

TEST(HttpClient, UnknownNamesAreAValue) {
  HttpClient client({"no-such-host.invalid", 80});
  const auto result = client.exchange({}, milliseconds(5000));
  ASSERT_FALSE(result.ok());
}

TEST(HttpClient, GarbageAndOversizeAreProtocolFailures) {
  const FakePeer garbage(answering("SSH-2.0-OpenSSH\r\n\r\n"));
  expect_failure(get(garbage.port()), FailureKind::kProtocol);
  const FakePeer large(answering("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"));
  expect_failure(get(large.port()), FailureKind::kProtocol);
  const FakePeer header(answering("HTTP/1.1 200 OK\r\nX: " + std::string(100000, 'x')));
  expect_failure(get(header.port()), FailureKind::kProtocol);
}

TEST(HttpClient, AHeaderOfEndlessSmallFieldsIsAProtocolFailure) {
  const FakePeer endless([](RawSocket& socket) {
    (void)socket.read_until("\r\n\r\n");
    socket.send("HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 10'000; ++i) socket.send("X: y\r\n");
    (void)socket.read_all();
  });
  expect_failure(get(endless.port()), FailureKind::kProtocol);
}

TEST(HttpClient, HalfAnAnswerIsClosed) {
  const FakePeer half(answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
  expect_failure(get(half.port()), FailureKind::kClosed);
  const FakePeer nothing(answering(""));
  expect_failure(get(nothing.port()), FailureKind::kClosed);
}

TEST(HttpClient, TheDeadlineCoversAnAnswerThatTrickles) {
  const FakePeer trickling([](RawSocket& socket) {
    (void)socket.read_until("\r\n\r\n");
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    for (int i = 0; i < 40; ++i) {
      std::this_thread::sleep_for(milliseconds(50));
      socket.send("x");
    }
  });
  const auto start = steady_clock::now();
  expect_failure(get(trickling.port(), milliseconds(200)), FailureKind::kTimeout);
  EXPECT_LT(steady_clock::now() - start, milliseconds(1500));
}

TEST(HttpClient, ResendsOnceWhenAKeptConnectionWasClosed) {
  std::atomic<int> num_connections{0};
  const FakePeer peer([&](RawSocket& socket) {
    num_connections.fetch_add(1);
    (void)socket.read_until("\r\n\r\n");
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");  // keep-alive, and yet closes
  });
  HttpClient client({"127.0.0.1", peer.port()});
  for (int i = 0; i < 5; ++i) {
    const auto result = client.exchange({}, milliseconds(5000));
    ASSERT_TRUE(result.ok()) << result.failure().text;
    EXPECT_EQ(result->response.body, "ok");
    EXPECT_GT(result->bytes_sent, 30);
    EXPECT_EQ(result->bytes_received, 40);
  }
  EXPECT_EQ(num_connections, 5);
}

TEST(HttpClient, BytesThatNobodyAskedForAreNoAnswer) {
  for (const bool at_once : {true, false}) {
    std::promise<void> sent;
    std::atomic<int> num_connections{0};
    const FakePeer peer([&](RawSocket& socket) {
      const std::string mine = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine";
      const std::string evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
      (void)socket.read_until("\r\n\r\n");
      if (num_connections.fetch_add(1) > 0) return socket.send(mine);
      socket.send(at_once ? mine + evil : mine);
      if (!at_once) socket.send(evil);
      sent.set_value();
      (void)socket.read_all();
    });
    HttpClient client({"127.0.0.1", peer.port()});
    EXPECT_EQ(client.exchange({}, milliseconds(5000))->response.body, "mine");
    sent.get_future().wait();
    EXPECT_EQ(client.exchange({}, milliseconds(5000))->response.body, "mine");
    EXPECT_EQ(num_connections, 2);
  }
}

TEST(HttpClient, NamesTheHostThatItMeans) {
  std::string request;
  int port = 0;
  {
    const FakePeer peer([&](RawSocket& socket) {
      request = socket.read_until("\r\n\r\n");
      socket.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    port = peer.port();
    ASSERT_TRUE(get(port).ok());
  }
  EXPECT_THAT(request, ::testing::HasSubstr("Host: 127.0.0.1:" + std::to_string(port) + "\r\n"));
}

TEST(HttpClient, SkipsInterimAnswers) {
  const FakePeer peer(
      answering("HTTP/1.1 100 Continue\r\n\r\n"
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  const auto result = get(peer.port());
  ASSERT_TRUE(result.ok()) << result.failure().text;
  EXPECT_EQ(result->response.body, "ok");
}

TEST(HttpUrl, ReadsHostAndPort) {
  EXPECT_EQ(parse_http_url("http://127.0.0.1:8000").port, 8000);
  EXPECT_EQ(parse_http_url("http://cloud/").host, "cloud");
  EXPECT_EQ(parse_http_url("http://[::1]:81").to_string(), "http://[::1]:81");
  EXPECT_EQ(parse_http_url("http://[::1]:81").authority(), "[::1]:81");
  EXPECT_EQ(parse_http_url("http://cloud").authority(), "cloud:80");
  EXPECT_EQ(parse_http_url("https://cloud").to_string(), "https://cloud:443");
  EXPECT_TRUE(parse_http_url("https://cloud:8443").tls);
  for (const char* bad :
       {"", "cloud", "ftp://x", "https://", "http://", "http://x:0", "http://x:65536", "http://x:y",
        "http://x/y", "http://u@x", "http://[::1", "http://x:"}) {
    test::expect_error<ConfigError>([&] { (void)parse_http_url(bad); }, {"[url]", bad});
  }
}

}  // namespace
}  // namespace branchy
