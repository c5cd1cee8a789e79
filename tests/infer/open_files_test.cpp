// Servers and the limit of open files: raised at the start, and survived when it is reached.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <vector>

#include "infer/http_client.h"
#include "infer/http_server.h"
#include "infer/open_file_limit.h"
#include "tests/infer/loopback.h"

namespace branchy {
namespace {

using std::chrono::milliseconds;
using test::RawSocket;

rlimit open_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit;
}

class OpenFilesTest : public testing::Test {
 protected:
  ~OpenFilesTest() override { ::setrlimit(RLIMIT_NOFILE, &original_); }
  void set_soft_limit(rlim_t limit) const {
    const rlimit lowered{.rlim_cur = limit, .rlim_max = original_.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &lowered), 0);
  }
  static HttpServer::Handler echo() {
    return [](HttpRequest request, const Responder& respond) {
      respond({.body = std::move(request.body)});
    };
  }
  const rlimit original_ = open_files();
};

TEST_F(OpenFilesTest, TheSoftLimitBecomesTheHardOne) {
  set_soft_limit(std::min<rlim_t>(200, original_.rlim_max));
  const std::size_t raised = raise_open_file_limit();
  EXPECT_EQ(raised, open_files().rlim_cur);
  EXPECT_EQ(open_files().rlim_cur, original_.rlim_max);
}

TEST_F(OpenFilesTest, AThousandIdleConnectionsAreKeptAndServed) {
  HttpServer server({.max_connections = 1500}, {}, echo());
  if (open_files().rlim_cur < 4000) GTEST_SKIP() << "the hard limit of open files is too low";
  server.start();
  std::vector<RawSocket> idle;
  for (int i = 0; i < 1000; ++i) {
    idle.push_back(RawSocket::connect(server.port()));
    ASSERT_TRUE(idle.back().connected());
  }
  for (std::size_t i = 0; i < idle.size(); i += 50) {
    idle[i].send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n!");
    EXPECT_THAT(idle[i].read_until("!"), testing::StartsWith("HTTP/1.1 200"));
  }
  EXPECT_EQ(server.stats().connections_open, 1000);
  const auto start = std::chrono::steady_clock::now();
  server.stop(milliseconds(5000));  // idle ones are not waited for
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(2000));
}

TEST_F(OpenFilesTest, WithoutDescriptorsTheServerWaitsAndGoesOn) {
  HttpServer server({}, {}, echo());
  server.start();
  HttpClient kept({"127.0.0.1", server.port()});
  ASSERT_TRUE(kept.exchange({}, milliseconds(5000)).ok());
  {
    std::vector<RawSocket> waiting;
    for (int i = 0; i < 20; ++i) waiting.push_back(RawSocket::connect(server.port()));
    while (server.stats().connections_open < 21) std::this_thread::sleep_for(milliseconds(1));
    // From here on neither side gets a new descriptor: those to come wait to be accepted.
    RawSocket late(::socket(AF_INET, SOCK_STREAM, 0));
    set_soft_limit(10);
    const sockaddr_in address = test::loopback_address(server.port());
    ASSERT_EQ(
        ::connect(late.descriptor(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
        0);
    late.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n!");
    EXPECT_TRUE(kept.exchange({}, milliseconds(5000)).ok());  // those that are there are served
    EXPECT_EQ(server.stats().connections_open, 21);
    set_soft_limit(original_.rlim_max);
    EXPECT_THAT(late.read_until("!"), testing::StartsWith("HTTP/1.1 200"));
  }
}

}  // namespace
}  // namespace branchy
