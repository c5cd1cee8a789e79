// Answers in parts, from any thread, to clients that read, dawdle or leave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "infer/http_client.h"
#include "infer/http_server.h"
#include "tests/infer/loopback.h"

namespace branchy {
namespace {

using std::chrono::milliseconds;
using test::RawSocket;
using testing::HasSubstr;
using testing::StartsWith;

class HttpStreamTest : public testing::Test {
 protected:
  using Act = std::function<void(const Responder&)>;
  void serve(Act act, HttpServerOptions options = {}) {
    server_ = std::make_unique<HttpServer>(
        std::move(options), HttpServer::QuickHandler(),
        [act = std::move(act)](const HttpRequest&, const Responder& respond) { act(respond); });
    server_->start();
  }
  // Sends parts until told that it is of no use; resolves to whether that came within ~20 s.
  Act flood(std::promise<bool>& stopped, milliseconds pause) {
    return [&stopped, pause](const Responder& respond) {
      respond.begin({.headers = {{"Content-Type", "text/plain"}}});
      const auto start = std::chrono::steady_clock::now();
      bool wanted = true;
      while (wanted && std::chrono::steady_clock::now() - start < milliseconds(20000)) {
        wanted = respond.part(std::string(20'000, 'x'));
        if (wanted && pause.count() > 0) std::this_thread::sleep_for(pause);
      }
      stopped.set_value(!wanted);
    };
  }
  [[nodiscard]] RawSocket get(const std::string& version = "HTTP/1.1") const {
    RawSocket socket = RawSocket::connect(server_->port());
    socket.send("GET / " + version + "\r\nHost: x\r\n\r\n");
    return socket;
  }
  std::unique_ptr<HttpServer> server_;
};

void three_parts(const Responder& respond) {
  respond.begin({.headers = {{"Content-Type", "text/plain"}}, .body = "a"});
  EXPECT_TRUE(respond.part(std::string(100'000, 'b')));
  EXPECT_TRUE(respond.part(""));
  EXPECT_TRUE(respond.part("c"));
  respond.end();
  EXPECT_FALSE(respond.part("late"));
  respond({.status = 500});  // only the first answer counts
}

TEST_F(HttpStreamTest, PartsArriveInOrderAndTheConnectionGoesOn) {
  serve(three_parts);
  HttpClient client({"127.0.0.1", server_->port()});
  for (int i = 0; i < 3; ++i) {
    const auto result = client.exchange({}, milliseconds(10000));
    ASSERT_TRUE(result.ok()) << result.failure().text;
    EXPECT_EQ(result->response.status, 200);
    EXPECT_EQ(result->response.body, "a" + std::string(100'000, 'b') + "c");
  }
  EXPECT_EQ(server_->stats().connections_accepted, 1);
  EXPECT_EQ(server_->stats().responses[2], 3);
}

TEST_F(HttpStreamTest, APartIsSentBeforeTheNextIsMade) {
  std::promise<void> seen;
  serve([&seen](const Responder& respond) {
    respond.begin({});
    respond.part("first");
    seen.get_future().wait();
    respond.end();
  });
  const RawSocket socket = get();
  EXPECT_THAT(socket.read_until("5\r\nfirst\r\n"), HasSubstr("Transfer-Encoding: chunked\r\n"));
  seen.set_value();
  EXPECT_EQ(socket.read_until("0\r\n\r\n"), "0\r\n\r\n");
}

TEST_F(HttpStreamTest, Http10ClientsGetPlainBytesUntilTheEnd) {
  serve(three_parts);
  const std::string answer = get("HTTP/1.0").read_all();
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n\r\na" + std::string(100'000, 'b') + "c"));
  EXPECT_THAT(answer, testing::Not(HasSubstr("chunked")));
}

TEST_F(HttpStreamTest, HeadGetsNoBody) {
  serve(three_parts);
  const RawSocket socket = RawSocket::connect(server_->port());
  socket.send(
      "HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answers = socket.read_all();
  EXPECT_THAT(answers.substr(answers.find("\r\n\r\n") + 4), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpStreamTest, AStreamWithoutAnEndBreaksTheConnection) {
  serve([](const Responder& respond) {
    respond.begin({});
    respond.part("half");
  });
  HttpClient client({"127.0.0.1", server_->port()});
  const auto result = client.exchange({}, milliseconds(10000));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.failure().kind, FailureKind::kClosed);
}

TEST_F(HttpStreamTest, AReaderTooSlowForTheBufferIsDisconnected) {
  std::promise<bool> stopped;
  serve(flood(stopped, milliseconds(0)), {.stream_limit_bytes = 1 << 20});
  const RawSocket socket = get();
  EXPECT_TRUE(stopped.get_future().get());
}

TEST_F(HttpStreamTest, AReaderThatStopsIsDisconnectedAfterTheWriteTimeout) {
  std::promise<bool> stopped;
  serve(flood(stopped, milliseconds(1)),
        {.stream_limit_bytes = 1ULL << 30, .write_timeout = milliseconds(200)});
  const RawSocket socket = get();
  EXPECT_TRUE(stopped.get_future().get());
}

TEST_F(HttpStreamTest, AClientThatLeftIsNoticed) {
  std::promise<bool> stopped;
  serve(flood(stopped, milliseconds(1)));
  {
    const RawSocket socket = get();
    (void)socket.read_until("xxx");
  }
  EXPECT_TRUE(stopped.get_future().get());
}

}  // namespace
}  // namespace branchy
