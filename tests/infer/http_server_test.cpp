#include "infer/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <vector>

#include "infer/content_encoding.h"
#include "infer/http_client.h"
#include "tests/infer/loopback.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using std::chrono::milliseconds;
using test::RawSocket;
using testing::HasSubstr;
using testing::StartsWith;

// Echoes bodies on a worker; /quick is answered by the I/O thread; /hold waits for release().
class HttpServerTest : public testing::Test {
 protected:
  void serve(HttpServerOptions options) {
    server_ = std::make_unique<HttpServer>(
        options,
        [](const HttpRequest& request) -> std::optional<HttpResponse> {
          if (request.path() == "/quick") return json_response("{}");
          return std::nullopt;
        },
        [this](HttpRequest request, const Responder& respond) {
          if (request.path() == "/throw") throw std::runtime_error("secret");
          if (request.path() == "/drop") return;
          if (request.path() == "/hold") {
            num_held_.fetch_add(1);
            released_.get_future().wait();
          }
          respond({.status = 200, .headers = {}, .body = std::move(request.body)});
        });
    server_->start();
  }
  void release() { released_.set_value(); }
  void await_held() const {
    while (num_held_.load() == 0) std::this_thread::sleep_for(milliseconds(1));
  }
  [[nodiscard]] HttpUrl url() const { return {"127.0.0.1", server_->port()}; }
  [[nodiscard]] RawSocket connect() const { return RawSocket::connect(server_->port()); }
  [[nodiscard]] HttpResponse post(HttpClient& client, std::string target, std::string body) const {
    const auto result = client.exchange(
        {.method = "POST", .target = std::move(target), .headers = {}, .body = std::move(body)},
        milliseconds(10000));
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.failure().text);
    return result.ok() ? result->response : HttpResponse{.status = 0};
  }
  [[nodiscard]] HttpResponse post(std::string target, std::string body) const {
    HttpClient client(url());
    return post(client, std::move(target), std::move(body));
  }

  std::promise<void> released_;
  std::atomic<int> num_held_{0};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersManyRequestsOnOneConnection) {
  serve({});
  HttpClient client(url());
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(post(client, "/", std::to_string(i)).body, std::to_string(i));
  EXPECT_EQ(post(client, "/quick?x=1", "").body, "{}");
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  serve({});
  const RawSocket socket = connect();
  socket.send(
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nb");
  const std::string answers = socket.read_all();
  EXPECT_LT(answers.find("\r\n\r\na"), answers.find("\r\n\r\nb"));
  EXPECT_THAT(answers, HasSubstr("\r\n\r\nb"));
}

TEST_F(HttpServerTest, RefusesOversizedBodiesWithoutReadingThem) {
  serve({.body_limit_bytes = 1000});
  EXPECT_EQ(post("/", std::string(1000, 'x')).status, 200);
  EXPECT_EQ(post("/", std::string(1001, 'x')).status, 413);
  EXPECT_EQ(post("/", std::string(5 << 20, 'x')).status, 413);
  const RawSocket announced = connect();
  announced.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
  EXPECT_THAT(announced.read_until("}"), StartsWith("HTTP/1.1 413"));
  const RawSocket chunked = connect();
  chunked.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 3; ++i) chunked.send("200\r\n" + std::string(512, 'x') + "\r\n");
  EXPECT_THAT(chunked.read_until("}"), StartsWith("HTTP/1.1 413"));
}

TEST_F(HttpServerTest, RefusesOversizedHeadersAndGarbage) {
  serve({.header_limit_bytes = 1024});
  const RawSocket large = connect();
  large.send("GET / HTTP/1.1\r\nX: " + std::string(2000, 'x') + "\r\n\r\n");
  EXPECT_THAT(large.read_until("}"), StartsWith("HTTP/1.1 431"));
  const RawSocket garbage = connect();
  garbage.send("\x16\x03\x01 hello\r\n\r\n");
  EXPECT_THAT(garbage.read_until("}"), StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(post("/", "still here").body, "still here");
}

TEST_F(HttpServerTest, HandlesExpectContinue) {
  serve({.body_limit_bytes = 1000});
  const RawSocket socket = connect();
  socket.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(socket.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
  socket.send("hi");
  EXPECT_THAT(socket.read_until("\r\n\r\nhi"), StartsWith("HTTP/1.1 200"));
  const RawSocket large = connect();
  large.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(large.read_until("}"), StartsWith("HTTP/1.1 413"));
}

TEST_F(HttpServerTest, DropsSlowClientsAndTruncatedBodies) {
  serve({.header_timeout = milliseconds(150), .read_timeout = milliseconds(150)});
  const RawSocket silent = connect();
  EXPECT_EQ(silent.read_all(), "");
  const RawSocket slow_header = connect();
  slow_header.send("GET / HT");
  EXPECT_EQ(slow_header.read_all(), "");
  const RawSocket slow_body = connect();
  slow_body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(slow_body.read_all(), "");
  {
    RawSocket truncated = connect();
    truncated.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    truncated.close();
  }
  EXPECT_EQ(post("/", "still here").body, "still here");
}

TEST_F(HttpServerTest, SurvivesPeersThatDieWhileTheWorkerWorks) {
  serve({});
  {
    RawSocket dead = connect();
    dead.send("POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    await_held();
    dead.close();
  }
  release();
  EXPECT_EQ(post("/", "still here").body, "still here");
}

TEST_F(HttpServerTest, HandlerFailuresBecome500WithoutInternals) {
  serve({});
  const HttpResponse thrown = post("/throw", "");
  EXPECT_EQ(thrown.status, 500);
  EXPECT_EQ(thrown.body, R"({"error":"internal error"})");
  EXPECT_EQ(post("/drop", "").status, 500);
}

TEST_F(HttpServerTest, FullQueueAnswers503AndQuickRoutesStillWork) {
  serve({.queue_limit = 1});
  const RawSocket working = connect();
  working.send("POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  await_held();
  const RawSocket waiting = connect();
  waiting.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  std::this_thread::sleep_for(milliseconds(50));  // until it is in the queue
  HttpClient client(url());
  HttpResponse refused = post(client, "/b", "");
  for (int i = 0; refused.status == 200 && i < 100; ++i) refused = post(client, "/b", "");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(find_header(refused.headers, "retry-after"), "1");
  EXPECT_EQ(post(client, "/quick", "").status, 200);
  release();
  EXPECT_THAT(working.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(waiting.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, TooManyConnectionsAnswer503) {
  serve({.max_connections = 2});
  HttpClient first(url());
  HttpClient second(url());
  EXPECT_EQ(post(first, "/", "").status, 200);
  EXPECT_EQ(post(second, "/", "").status, 200);
  EXPECT_EQ(post("/", "").status, 503);
  first.disconnect();
  HttpResponse later = post("/", "");
  for (int i = 0; later.status == 503 && i < 100; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
    later = post("/", "");
  }
  EXPECT_EQ(later.status, 200);
}

TEST_F(HttpServerTest, PortInUseIsOneLine) {
  serve({});
  test::expect_error<IoError>([&] { HttpServer({.port = server_->port()}, {}, {}); },
                              {"127.0.0.1:" + std::to_string(server_->port()), "in use", "--port"});
  test::expect_error<IoError>([] { HttpServer({.host = "nowhere"}, {}, {}); }, {"'nowhere'"});
}

TEST_F(HttpServerTest, StopLetsBegunRequestsFinish) {
  serve({});
  HttpClient idle(url());
  EXPECT_EQ(post(idle, "/", "").status, 200);
  const RawSocket working = connect();
  working.send("POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok");
  await_held();
  std::thread releaser([this] {
    std::this_thread::sleep_for(milliseconds(100));
    release();
  });
  server_->stop(milliseconds(10000));
  releaser.join();
  EXPECT_THAT(working.read_all(), HasSubstr("Connection: close\r\n"));
  EXPECT_FALSE(connect().connected());
}

TEST_F(HttpServerTest, StopClosesStragglersAtTheLimit) {
  serve({});
  const RawSocket straggler = connect();
  straggler.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  std::this_thread::sleep_for(milliseconds(50));
  const auto start = std::chrono::steady_clock::now();
  server_->stop(milliseconds(200));
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5000));
  EXPECT_EQ(straggler.read_all(), "");
}

TEST_F(HttpServerTest, WrongOrMissingTokensComputeNothing) {
  std::atomic<int> num_computed{0};
  server_ = std::make_unique<HttpServer>(
      HttpServerOptions{.tokens = {"one", "two"}},
      [](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (is_health_path(request.path())) return json_response("{}");
        return std::nullopt;
      },
      [&](const HttpRequest&, const Responder& respond) {
        num_computed.fetch_add(1);
        respond({});
      });
  server_->start();
  // The body never comes: it is not waited for.
  for (const char* field :
       {"", "Authorization: Bearer three\r\n", "Authorization: Basic one\r\n"}) {
    const RawSocket socket = connect();
    socket.send("POST / HTTP/1.1\r\nHost: x\r\n" + std::string(field) +
                "Content-Length: 1000\r\n\r\n");
    const std::string answer = socket.read_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 401"));
    EXPECT_THAT(answer, HasSubstr("\r\nWWW-Authenticate: Bearer"));
  }
  EXPECT_EQ(num_computed, 0);
  HttpClient open(url());
  const auto health = open.exchange({.target = "/v2/health/live"}, milliseconds(5000));
  EXPECT_EQ(health->response.status, 200);
  for (const char* token : {"one", "two"}) {
    HttpClient client(url(), {.bearer_token = token});
    EXPECT_EQ(client.exchange({.method = "POST"}, milliseconds(5000))->response.status, 200);
  }
  EXPECT_EQ(num_computed, 2);
}

TEST_F(HttpServerTest, DecodesBodiesBeforeTheHandler) {
  serve({.body_limit_bytes = 100'000});
  // What encode_answer() makes serves as a compressed request.
  HttpResponse packed{.headers = {{"Content-Type", "text/plain"}},
                      .body = std::string(50'000, 'x')};
  encode_answer({ContentCoding::kGzip, true}, packed);
  HttpClient client(url());
  const auto send = [&](std::string coding, std::string body) {
    const auto result = client.exchange({.method = "POST",
                                         .headers = {{"Content-Encoding", std::move(coding)}},
                                         .body = std::move(body)},
                                        milliseconds(10000));
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.failure().text);
    return result.ok() ? result->response : HttpResponse{.status = 0};
  };
  EXPECT_EQ(send("gzip", packed.body).body, std::string(50'000, 'x'));
  EXPECT_EQ(send("identity", "plain").body, "plain");
  EXPECT_EQ(send("gzip", packed.body.substr(0, packed.body.size() - 1)).status, 400);
  EXPECT_EQ(send("gzip", "").status, 400);
  EXPECT_EQ(send("br", "x").status, 415);
  EXPECT_EQ(send("gzip, gzip", packed.body).status, 415);
  HttpResponse bomb{.headers = {{"Content-Type", "text/plain"}}, .body = std::string(100'001, 'x')};
  encode_answer({ContentCoding::kGzip, true}, bomb);
  EXPECT_LT(bomb.body.size(), 1000);
  EXPECT_EQ(send("gzip", bomb.body).status, 413);
}

TEST_F(HttpServerTest, EncodesAnswersForClientsThatAsk) {
  server_ = std::make_unique<HttpServer>(HttpServerOptions{}, HttpServer::QuickHandler(),
                                         [](const HttpRequest&, const Responder& respond) {
                                           respond(json_response(std::string(50'000, ' ')));
                                         });
  server_->start();
  HttpClient plain(url());
  HttpClient gzip(url(), {.accept_gzip = true});
  const auto large = plain.exchange({}, milliseconds(5000));
  const auto small = gzip.exchange({}, milliseconds(5000));
  EXPECT_EQ(large->response.body, small->response.body);
  EXPECT_GT(large->bytes_received, 50'000);
  EXPECT_LT(small->bytes_received, 1000);
  EXPECT_EQ(find_header(small->response.headers, "Vary"), "Accept-Encoding");
}

TEST_F(HttpServerTest, RefusesSmugglingAndServesNothingAfterIt) {
  serve({});
  const RawSocket socket = connect();
  socket.send(
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\n\r\nGET /quick HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string answer = socket.read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(answer.find("HTTP/1.1 ", 1), std::string::npos);
}

TEST_F(HttpServerTest, HundredsOfPipelinedRequestsAreAnsweredInOrder) {
  serve({});
  const RawSocket socket = connect();
  std::thread sender([&] {
    std::string all;
    for (int i = 0; i < 500; ++i) {
      const std::string body = std::to_string(10'000 + i);
      all.append(i % 3 == 0 ? "POST /quick" : "POST /")
          .append(" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
          .append(body);
    }
    socket.send(all + "GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  });
  const std::string answers = socket.read_all();
  sender.join();
  std::size_t at = 0;
  for (int i = 0; i < 500; ++i) {
    at = answers.find("\r\n\r\n", at);
    ASSERT_NE(at, std::string::npos) << i;
    at += 4;
    const std::string expected = i % 3 == 0 ? "{}" : std::to_string(10'000 + i);
    ASSERT_EQ(answers.substr(at, expected.size()), expected) << i;
  }
}

TEST_F(HttpServerTest, ATricklingBodyIsCutOffByTheRequestsDeadline) {
  serve({.read_timeout = milliseconds(30000), .request_timeout = milliseconds(300)});
  const RawSocket socket = connect();
  socket.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  const auto start = std::chrono::steady_clock::now();
  std::thread trickle([&] {
    for (int i = 0; i < 40; ++i) {
      socket.send("x");
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  EXPECT_EQ(socket.read_all(), "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(3000));
  trickle.join();
}

TEST_F(HttpServerTest, ABodyMustComeAtTheLeastRate) {
  serve({.min_bytes_per_second = 10'000, .body_grace = milliseconds(300)});
  const auto upload = [&](std::size_t step) {  // every 20 ms, for a second at most
    const RawSocket socket = connect();
    socket.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n");
    for (std::size_t i = 0; i < 50 && i * step < 40'000; ++i) {
      socket.send(std::string(step, 'x'));
      std::this_thread::sleep_for(milliseconds(20));
    }
    return socket.read_until("\r\n\r\n").starts_with("HTTP/1.1 200");
  };
  EXPECT_TRUE(upload(2000));  // up to 100 kB/s, 400 ms in all: past the grace, but fast enough
  EXPECT_FALSE(upload(40));   // up to 2 kB/s
}

TEST_F(HttpServerTest, CountsWhatItDoes) {
  serve({.max_connections = 2});
  const HttpServer::Stats before = server_->stats();
  EXPECT_EQ(before.requests, 0);
  HttpClient client(url());
  EXPECT_EQ(post(client, "/", std::string(1000, 'x')).status, 200);
  EXPECT_EQ(post(client, "/throw", "").status, 500);
  const RawSocket second = connect();
  second.send("nonsense\r\n\r\n");
  EXPECT_THAT(second.read_until("}"), StartsWith("HTTP/1.1 400"));
  const RawSocket third = connect();
  EXPECT_THAT(third.read_until("}"), StartsWith("HTTP/1.1 503"));
  const HttpServer::Stats stats = server_->stats();
  EXPECT_EQ(stats.requests, 2);
  EXPECT_EQ(stats.responses[2], 1);
  EXPECT_EQ(stats.responses[4], 1);
  EXPECT_EQ(stats.responses[5], 2);
  EXPECT_EQ(stats.connections_accepted, 2);
  EXPECT_EQ(stats.connections_refused, 1);
  EXPECT_GE(stats.connections_open, 1);
  EXPECT_GT(stats.bytes_in, 1000);
  EXPECT_GT(stats.bytes_out, 1000);
}

TEST_F(HttpServerTest, HeadTellsTheLengthAndKeepsTheConnection) {
  serve({});
  const RawSocket socket = connect();
  socket.send("HEAD /quick HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(socket.read_until("\r\n\r\n"), HasSubstr("Content-Length: 2\r\n"));
  socket.send("\r\nGET http://x/quick HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(socket.read_until("{}"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, StopsUnderLoad) {
  serve({.workers = 2, .queue_limit = 4});
  std::atomic<bool> stopping{false};
  std::atomic<int> num_answered{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      HttpClient client(url());
      while (!stopping) {
        const auto result = client.exchange(
            {.method = "POST", .target = "/", .headers = {}, .body = std::string(10000, 'x')},
            milliseconds(2000));
        if (result && result->response.status == 200) num_answered.fetch_add(1);
      }
    });
  }
  while (num_answered < 100) std::this_thread::sleep_for(milliseconds(1));
  server_->stop(milliseconds(2000));
  stopping = true;
  for (std::thread& client : clients) client.join();
  EXPECT_GE(num_answered, 100);
}

}  // namespace
}  // namespace branchy
