// branchy-edge --listen as a process: alone, beside a source, and when it is used wrongly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.h"
#include "data/jpeg_images.h"
#include "infer/http_client.h"
#include "infer/listen_address.h"
#include "tests/infer/split_models.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(ListenAddress, ReadsHostAndPort) {
  EXPECT_EQ(parse_listen_address("127.0.0.1:80", "x").host, "127.0.0.1");
  EXPECT_EQ(parse_listen_address("127.0.0.1:80", "x").port, 80);
  EXPECT_EQ(parse_listen_address("[::1]:0", "x").host, "::1");
  for (const char* wrong :
       {"", ":", ":80", "host", "host:", "host:x", "host:-1", "host:65536", "::1:80", "[]:80"})
    EXPECT_THROW((void)parse_listen_address(wrong, "x"), ConfigError) << wrong;
}

class EdgeListen : public testing::Test {
 protected:
  std::unique_ptr<test::ChildProcess> start(const std::vector<std::string>& options) {
    const auto port_file = directory_ / "port";
    std::vector<std::string> words{BRANCHY_EDGE,
                                   "--model",
                                   models_.file("whole").string(),
                                   "--policy",
                                   "fixed:2",
                                   "--listen",
                                   "127.0.0.1:0",
                                   "--port-file",
                                   port_file.string(),
                                   "--threads",
                                   "1"};
    words.insert(words.end(), options.begin(), options.end());
    auto edge = std::make_unique<test::ChildProcess>(std::move(words), log());
    const bool ready = test::wait_until(
        [&] { return std::filesystem::exists(port_file) || !edge->running(); }, 60s);
    EXPECT_TRUE(ready && edge->running()) << test::read_text(log());
    if (ready && edge->running()) port_ = std::stoi(test::read_text(port_file));
    return edge;
  }
  [[nodiscard]] std::filesystem::path log() const { return directory_ / "edge.log"; }
  [[nodiscard]] nlohmann::json status() const {
    HttpClient client({.host = "127.0.0.1", .port = port_});
    const auto answer = client.exchange({.target = "/v2/edge/status"}, 10s);
    return answer ? nlohmann::json::parse(answer->response.body) : nlohmann::json();
  }
  [[nodiscard]] static HttpRequest photo(std::uint64_t key) {
    const auto file = encode_jpeg(test::synth_image(key), 90);
    return {.method = "POST",
            .target = "/v2/models/cnn9/infer",
            .headers = {{"Content-Type", "image/jpeg"}},
            .body = {file.begin(), file.end()}};
  }
  [[nodiscard]] test::Outcome run(std::vector<std::string> options) const {
    options.insert(options.begin(), {BRANCHY_EDGE, "--model", models_.file("whole").string()});
    return test::run_program(std::move(options), directory_ / "run.log");
  }

  test::TemporaryDirectory directory_;
  test::SplitModels models_{directory_.path()};
  int port_ = 0;
};

TEST_F(EdgeListen, ServesBesideADataSetAndAfterIt) {
  write_synth_dataset(directory_ / "data", {.num_train = 50, .num_test = 60, .threads = 1});
  const auto results = directory_ / "results.jsonl";
  const auto edge =
      start({"--data", "cifar10:" + (directory_ / "data").string(), "--out", results.string()});
  EXPECT_TRUE(test::wait_until([&] { return std::filesystem::exists(results); }, 60s));
  HttpClient client({.host = "127.0.0.1", .port = port_});
  const auto answer = client.exchange(photo(1), 10s);
  ASSERT_TRUE(answer && answer->response.status == 200);
  const nlohmann::json state = status();
  EXPECT_EQ(state.at("images"), 61) << "those of the data set and the camera's";
  EXPECT_EQ(state.at("last_images").size(), 12U);
  const std::string lines = test::read_text(results);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 60);
  edge->signal(SIGTERM);
  EXPECT_EQ(edge->wait(60s), 0) << test::read_text(log());
}

TEST_F(EdgeListen, SigtermUnderLoadLosesNoAnswerThatHasBegun) {
  const auto edge = start({"--log-requests"});
  std::atomic<int> answered{0};
  std::atomic<int> broken{0};
  std::vector<std::thread> clients;
  for (std::uint64_t key = 0; key < 4; ++key) {
    clients.emplace_back([&, key] {
      HttpClient client({.host = "127.0.0.1", .port = port_});
      for (;;) {
        const auto answer = client.exchange(photo(key), 30s);
        if (!answer) {  // a new connection, refused or reset before it was accepted
          const FailureKind kind = answer.failure().kind;
          if (kind != FailureKind::kRefused && kind != FailureKind::kClosed) ++broken;
          return;
        }
        if (answer->response.status == 200) ++answered;
        if (answer->response.status == 500) ++broken;
      }
    });
  }
  EXPECT_TRUE(test::wait_until([&] { return answered > 20; }, 60s));
  edge->signal(SIGTERM);
  EXPECT_EQ(edge->wait(60s), 0) << test::read_text(log());
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(broken, 0);
  EXPECT_THAT(test::read_text(log()), HasSubstr("infer: 200"));
}

TEST_F(EdgeListen, WrongUseIsToldInOneLine) {
  test::expect_one_line(run({}), 2, "--listen");
  test::expect_one_line(run({"--policy", "fixed:1", "--listen", "nowhere"}), 2, "HOST:PORT");
  test::expect_one_line(run({"--policy", "fixed:1", "--listen", "127.0.0.1:0", "--tls-key", "x"}),
                        2, "--tls-cert");
  test::expect_one_line(run({"--policy", "fixed:1", "--listen", "127.0.0.1:0", "--out", "x.jsonl"}),
                        2, "--out");
  EXPECT_EQ(run({"--policy", "fixed:1", "--token-file", "x", "image.jpg"}).code, 2)
      << "an option of --listen without it";
  test::expect_one_line(run({"--policy", "fixed:1", "--listen", "127.0.0.1:0", "--token-file",
                             (directory_ / "no-such-file").string()}),
                        1, "no-such-file");
  const auto edge = start({});
  const test::Outcome second =
      run({"--policy", "fixed:1", "--listen", "127.0.0.1:" + std::to_string(port_)});
  test::expect_one_line(second, 1, "cannot listen");
}

}  // namespace
}  // namespace branchy
