#include "infer/http_client_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "infer/http_server.h"

namespace branchy {
namespace {

using std::chrono::milliseconds;
using Clock = HttpClientPool::Clock;

class HttpClientPoolTest : public testing::Test {
 protected:
  HttpClientPoolTest()
      : server_({}, {}, [](HttpRequest request, const Responder& respond) {
          respond({.body = std::move(request.body)});
        }) {
    server_.start();
  }
  HttpServer server_;
};

TEST_F(HttpClientPoolTest, SharesFewConnectionsAmongManyThreads) {
  HttpClientPool pool({"127.0.0.1", server_.port()}, {}, 3);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 20; ++j) {
        const std::string body = std::to_string(i * 100 + j);
        auto lease = pool.lease(Clock::now() + milliseconds(10000));
        ASSERT_TRUE(lease);
        const auto result = lease->exchange({.method = "POST", .body = body}, milliseconds(5000));
        ASSERT_TRUE(result.ok());
        EXPECT_EQ(result->response.body, body);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(server_.stats().connections_accepted, 3);
  EXPECT_EQ(pool.num_leased(), 0);
}

TEST_F(HttpClientPoolTest, LeasesTheWarmestConnectionFirst) {
  HttpClientPool pool({"127.0.0.1", server_.port()}, {}, 4);
  for (int i = 0; i < 10; ++i) {
    auto lease = pool.lease(Clock::now() + milliseconds(1000));
    EXPECT_TRUE(lease->exchange({}, milliseconds(5000)).ok());
  }
  EXPECT_EQ(server_.stats().connections_accepted, 1);
}

TEST_F(HttpClientPoolTest, GivesUpAtTheDeadlineAndGoesOnAfterwards) {
  HttpClientPool pool({"127.0.0.1", server_.port()}, {}, 1);
  auto held = pool.lease(Clock::now() + milliseconds(1000));
  ASSERT_TRUE(held);
  const auto start = Clock::now();
  EXPECT_FALSE(pool.lease(Clock::now() + milliseconds(50)));
  EXPECT_GE(Clock::now() - start, milliseconds(50));
  std::thread waiting([&] { EXPECT_TRUE(pool.lease(Clock::now() + milliseconds(10000))); });
  held = {};
  waiting.join();
  EXPECT_EQ(pool.num_leased(), 0);
}

}  // namespace
}  // namespace branchy
