// CloudLink: what is asked again and when, against a peer that answers by a script.
#include "infer/cloud_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "infer/http_server.h"
#include "tests/infer/loopback.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int kHangUp = -1;  ///< a script's step: close the connection instead of an answer

class CloudLinkTest : public testing::Test {
 protected:
  static CloudModel model() {
    return {.name = "net", .cut = "b1", .num_classes = 3, .num_exits = 3, .num_edge_exits = 2};
  }
  static InferResponse good_answer() {
    InferResponse answer;
    answer.model_name = "net";
    answer.outputs = {fp32_tensor("logits", {1, 3}, std::vector<float>{1, 5, 2}),
                      int32_tensor("exit_index", {1}, std::vector<std::int32_t>{3}),
                      int32_tensor("last_exit", {1}, std::vector<std::int32_t>{3}),
                      fp32_tensor("confidence", {1}, std::vector<float>{0.9F}),
                      uint8_tensor("dropped", {1}, std::vector<std::uint8_t>{0})};
    return answer;
  }
  /// Answers the k-th request with the k-th status, and all after the last with that one.
  void serve(std::vector<int> statuses, const std::string& retry_after = {}) {
    peer_ = std::make_unique<test::FakePeer>([=, this](test::RawSocket& socket) {
      for (;;) {
        std::string request = socket.read_until("\r\n\r\n");
        const auto length_at = request.find("Content-Length: ");
        if (length_at == std::string::npos) return;
        const std::size_t length = std::stoul(request.substr(length_at + 16));
        const std::size_t body = request.find("\r\n\r\n") + 4;
        while (request.size() < body + length) {
          const std::string more = socket.read_some();
          if (more.empty()) return;
          request += more;
        }
        const auto step = static_cast<std::size_t>(num_requests_++);
        const int status = statuses[std::min(step, statuses.size() - 1)];
        if (status == kHangUp) return;
        InferRequest parsed;
        const std::string id = request.substr(request.find("\"id\":\"") + 6);
        InferResponse answer = good_answer();
        answer.id = id.substr(0, id.find('"'));
        const std::string content = status == 200 ? build_infer_response(answer, parsed).body
                                                  : std::string(R"({"error":"as told"})");
        std::string answer_text = "HTTP/1.1 " + std::to_string(status) + " As Told\r\n";
        if (!retry_after.empty()) answer_text.append("Retry-After: ").append(retry_after + "\r\n");
        answer_text.append("Content-Length: ").append(std::to_string(content.size()));
        socket.send(answer_text.append("\r\n\r\n").append(content));
      }
    });
  }
  std::unique_ptr<CloudLink> link(std::int64_t retries,
                                  std::chrono::milliseconds timeout = 20s) const {
    CloudLinkOptions options;
    options.client.url = {.host = "127.0.0.1", .port = peer_->port()};
    options.client.model = model();
    options.client.timeout = timeout;
    options.client.connections = 1;
    options.retries = retries;
    return std::make_unique<CloudLink>(std::move(options), CloudLink::Warn());
  }
  static CloudQuestion question() {
    return feature_question(model(), Tensor::full({1, 4, 1, 1}, 0.5F));
  }

  std::atomic<int> num_requests_ = 0;
  std::unique_ptr<test::FakePeer> peer_;
};

TEST_F(CloudLinkTest, AsksAgainAfterWhatMayPass) {
  serve({kHangUp, 503, 502, 504, 200});
  const CloudReply reply = link(4)->ask(question(), std::nullopt);
  ASSERT_TRUE(reply.answer) << reply.reason;
  EXPECT_EQ(reply.answer->logits, (std::vector<float>{1, 5, 2}));
  EXPECT_EQ(reply.retries, 4);
  EXPECT_EQ(num_requests_, 5);
}

TEST_F(CloudLinkTest, GivesUpAfterTheRetriesWithTheLastReason) {
  serve({502, 502, 503});
  const CloudReply reply = link(2)->ask(question(), std::nullopt);
  EXPECT_FALSE(reply.answer);
  EXPECT_EQ(reply.reason, "overloaded");
  EXPECT_EQ(reply.retries, 2);
  EXPECT_EQ(num_requests_, 3);
}

TEST_F(CloudLinkTest, NeverAsksAgainAfterWhatWillNotPass) {
  const std::vector<std::pair<int, std::string>> cases = {
      {400, "rejected"}, {404, "rejected"}, {429, "rejected"}, {401, "denied"},
      {403, "denied"},   {500, "failed"},   {501, "failed"}};
  for (const auto& [status, reason] : cases) {
    num_requests_ = 0;
    serve({status});
    const CloudReply reply = link(5)->ask(question(), std::nullopt);
    EXPECT_EQ(reply.reason, reason) << status;
    EXPECT_EQ(reply.retries, 0) << status;
    EXPECT_EQ(num_requests_, 1) << status;
  }
}

TEST_F(CloudLinkTest, WaitsAsLongAsThePeerSays) {
  serve({503, 200}, "1");
  const auto start = Clock::now();
  EXPECT_TRUE(link(1)->ask(question(), std::nullopt).answer);
  EXPECT_GE(Clock::now() - start, 1s);
}

TEST_F(CloudLinkTest, DoesNotWaitBeyondTheDeadline) {
  serve({503, 200}, "30");
  const auto start = Clock::now();
  const CloudReply reply = link(5)->ask(question(), Clock::now() + 10s);
  EXPECT_EQ(reply.reason, "overloaded");
  EXPECT_EQ(num_requests_, 1);
  EXPECT_LT(Clock::now() - start, 9s);
  EXPECT_EQ(link(5)->ask(question(), Clock::now() - 1s).reason, "deadline");
}

TEST_F(CloudLinkTest, EndsRetriesWhenTheQuestionIsAnsweredElsewhere) {
  serve({503});
  const CloudReply reply = link(50)->ask(question(), std::nullopt, [] { return true; });
  EXPECT_EQ(num_requests_, 1);
  EXPECT_EQ(reply.reason, "overloaded");
}

TEST_F(CloudLinkTest, PausesAfterThreeFailedQuestionsAndTriesOnce) {
  serve({503});
  const auto cloud = link(0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cloud->ask(question(), std::nullopt).reason, "overloaded");
  EXPECT_TRUE(cloud->status().is_paused);
  EXPECT_EQ(cloud->ask(question(), std::nullopt).reason, "paused");
  EXPECT_EQ(num_requests_, 3);
  EXPECT_FALSE(cloud->is_probe_due()) << "a pause is from probes too";
}

TEST_F(CloudLinkTest, ReportsTheFirstFailureOfAStreak) {
  serve({500, 500, 200, 500});
  std::vector<std::string> warnings;
  CloudLinkOptions options;
  options.client.url = {.host = "127.0.0.1", .port = peer_->port()};
  options.client.model = model();
  CloudLink cloud(std::move(options), [&](const std::string& text) { warnings.push_back(text); });
  for (int i = 0; i < 4; ++i) (void)cloud.ask(question(), std::nullopt);
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_THAT(warnings[0], testing::HasSubstr("answered 500: as told"));
}

}  // namespace
}  // namespace branchy
