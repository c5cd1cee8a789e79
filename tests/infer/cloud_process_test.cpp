// A real branchy-cloud under load: the protocol by a stranger's script, reloads, shutdown, full
// disk.
#include "tests/infer/cloud_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <mutex>

#include "tests/infer/certificates.h"
#include "tests/infer/metrics_text.h"

namespace branchy {
namespace {

namespace fs = std::filesystem;
using test::CheckedLoad;
using test::ChildProcess;
using test::KnownModel;
using test::kProcessPatience;
using test::metric_value;
using test::read_text;
using test::wait_until;

class CloudProcess : public test::CloudProcessTest {
 protected:
  Cloud start(std::vector<std::string> words) {
    return start_cloud(BRANCHY_CLOUD, std::move(words));
  }
  /// The file of a version in the directory `models`; its folder is made.
  fs::path version_file(const std::string& version) {
    const fs::path folder = directory_ / "models" / "net" / version;
    fs::create_directories(folder);
    return folder / "model.safetensors";
  }
  std::string models() { return (directory_ / "models").string(); }
  void reload(const Cloud& cloud, int count) {
    cloud.process->signal(SIGHUP);
    EXPECT_TRUE(wait_until([&] { return num_lines(cloud, "reloaded") >= count; }, kProcessPatience))
        << read_text(cloud.log);
  }
  static int num_lines(const Cloud& cloud, const std::string& text) {
    const std::string log = read_text(cloud.log);
    int count = 0;
    for (auto at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++count;
    return count;
  }
};

TEST_F(CloudProcess, AScriptThatKnowsTheProtocolAloneIsAnswered) {
  ASSERT_TRUE(fs::exists("/usr/bin/python3")) << "install it with 'apt-get install python3'";
  const KnownModel one(version_file("1"), 0.05F);
  fs::create_directories(directory_ / "models" / "net" / "3");
  fs::copy(version_file("1"), version_file("3"));
  const Cloud cloud = start({"--models", models()});
  ChildProcess script(
      {"/usr/bin/python3", BRANCHY_PROTOCOL_CLIENT, "127.0.0.1", std::to_string(cloud.port), "net"},
      directory_ / "script");
  EXPECT_EQ(script.wait(kProcessPatience), 0)
      << read_text(directory_ / "script.out") << read_text(directory_ / "script");
}

TEST_F(CloudProcess, ReloadsUnderLoadAndLosesNothing) {
  const KnownModel first(version_file("1"), 0.05F);
  std::map<std::string, std::vector<KnownModel>> known;  // by version, all that it ever was
  known["1"].push_back(first);
  const Cloud cloud = start({"--models", models()});
  std::mutex mutex;  // guards known and newest
  std::string newest = "1";
  CheckedLoad load(cloud.url(), "/v2/models/net/infer", 4, [&](int image, const auto& response) {
    const std::lock_guard lock(mutex);
    newest = response.model_version;
    const auto& models = known.at(response.model_version);
    return std::any_of(models.begin(), models.end(),
                       [&](const KnownModel& one) { return one.answers(image, response); });
  });
  ASSERT_TRUE(load.wait_for_more(20));
  const auto add = [&](const std::string& version, float scale) {
    const KnownModel model(version_file(version), scale);
    const std::lock_guard lock(mutex);
    known[version].push_back(model);
  };
  const auto expect_version = [&](const std::string& version) {
    EXPECT_TRUE(load.wait_for_more(20)) << load.wrong() << " wrong";
    const std::lock_guard lock(mutex);
    EXPECT_EQ(newest, version);
  };
  add("2", 0.1F);
  reload(cloud, 1);
  expect_version("2");
  // A broken new version, and a broken file in place of one that is served.
  std::ofstream(version_file("3")) << "no model";
  std::ofstream(directory_ / "broken") << "no model either";
  fs::rename(directory_ / "broken", version_file("2"));
  reload(cloud, 2);
  expect_version("2");
  EXPECT_EQ(num_lines(cloud, "version 3 cannot be loaded"), 1) << read_text(cloud.log);
  EXPECT_EQ(num_lines(cloud, "version 2 cannot be loaded, the old one stays"), 1);
  EXPECT_EQ(status_of(cloud.url(), "/v2/models/net/versions/3"), 404);
  add("2", 0.07F);
  fs::remove_all(directory_ / "models" / "net" / "3");
  reload(cloud, 3);
  expect_version("2");
  fs::remove_all(directory_ / "models" / "net" / "2");
  reload(cloud, 4);
  expect_version("1");
  load.stop();
  EXPECT_EQ(load.lost(), 0);
  EXPECT_EQ(load.wrong(), 0);
  EXPECT_THAT(body_of(cloud.url(), "/v2/models/net"), testing::HasSubstr(R"("versions":["1"])"));
}

TEST_F(CloudProcess, SigtermAnswersWhatWaitsAndExitsZero) {
  const KnownModel model(version_file("1"), 0.05F);
  // A minute of waiting for others: what has come waits when the signal comes.
  const Cloud cloud = start({"--models", models(), "--batch-wait-us", "60000000",
                             "--drain-delay-ms", "1000", "--drain-ms", "60000"});
  constexpr int kWaiting = 12;
  std::atomic<int> right{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < kWaiting; ++i) {
    clients.emplace_back([&, i] {
      HttpClient http(cloud.url());
      const int image = i % KnownModel::kNumImages;
      const auto answer =
          http.exchange(test::infer_http_request(image, "/v2/models/net/infer"), kProcessPatience);
      if (!answer.ok() || answer->response.status != 200) return;
      const HttpResponse& response = answer->response;
      if (model.answers(image, parse_infer_response(
                                   response.body, find_header(response.headers, kInferenceHeader))))
        ++right;
    });
  }
  EXPECT_TRUE(wait_until(
      [&] {
        return metric_value(body_of(cloud.url(), "/metrics"), "branchy_queue_requests") == kWaiting;
      },
      kProcessPatience));
  EXPECT_EQ(status_of(cloud.url(), "/v2/health/ready"), 200);
  cloud.process->signal(SIGTERM);
  EXPECT_TRUE(wait_until([&] { return status_of(cloud.url(), "/v2/health/ready") != 200; },
                         kProcessPatience));
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(right, kWaiting);
  EXPECT_EQ(cloud.process->wait(kProcessPatience), 0) << read_text(cloud.log);
}

TEST_F(CloudProcess, AFullDiskForItsLogCostsTheLogAlone) {
  const KnownModel model(version_file("1"), 0.05F);
  const fs::path metrics_port = directory_ / "metrics_port";
  const Cloud cloud =
      start_cloud("/bin/sh", {"-c", "exec \"$@\" 2>/dev/full", "sh", BRANCHY_CLOUD, "--models",
                              models(), "--log-requests", "--metrics-port", "0",
                              "--metrics-port-file", metrics_port.string()});
  CheckedLoad load(cloud.url(), "/v2/models/net/versions/1/infer", 3,
                   [&](int image, const auto& response) { return model.answers(image, response); });
  EXPECT_TRUE(load.wait_for_more(50));
  load.stop();
  EXPECT_EQ(load.lost(), 0);
  const HttpUrl metrics{"127.0.0.1", std::stoi(read_text(metrics_port))};
  const std::string text = body_of(metrics, "/metrics");
  EXPECT_EQ(test::format_error(text), "") << text;
  EXPECT_GE(metric_value(text, R"(branchy_requests_total{model="net",result="ok"})"), 50);
  EXPECT_EQ(status_of(cloud.url(), "/metrics"), 404);
  EXPECT_EQ(status_of(metrics, "/v2"), 404);
  cloud.process->signal(SIGTERM);
  EXPECT_EQ(cloud.process->wait(kProcessPatience), 0);
}

TEST_F(CloudProcess, WithoutItsTokenNothingIsComputedAndCertificatesAreReadAgain) {
  const KnownModel model(version_file("1"), 0.05F);
  const test::Certificate first = test::make_certificate(directory_, "first", "IP:127.0.0.1");
  const test::Certificate second = test::make_certificate(directory_, "second", "IP:127.0.0.1");
  const fs::path certificate = directory_ / "served.pem", key = directory_ / "served.key";
  const auto serve = [&](const test::Certificate& one) {
    fs::copy_file(one.certificate_file, certificate, fs::copy_options::overwrite_existing);
    fs::copy_file(one.key_file, key, fs::copy_options::overwrite_existing);
  };
  serve(first);
  std::ofstream(directory_ / "tokens") << "# edges\nsecret-1\nsecret-2\n";
  fs::permissions(directory_ / "tokens", fs::perms::owner_read);
  const fs::path metrics_port = directory_ / "metrics_port";
  const Cloud cloud = start({"--models", models(), "--tls-cert", certificate.string(), "--tls-key",
                             key.string(), "--token-file", (directory_ / "tokens").string(),
                             "--metrics-port", "0", "--metrics-port-file", metrics_port.string()});
  const auto ask = [&](const test::Certificate& trusted, const std::string& token) {
    HttpUrl url = cloud.url();
    url.tls = true;
    HttpClient client(url, {.bearer_token = token, .ca_file = trusted.certificate_file});
    const auto answer =
        client.exchange(test::infer_http_request(0, "/v2/models/net/infer"), kProcessPatience);
    return answer.ok() ? answer->response.status : 0;
  };
  EXPECT_EQ(ask(first, ""), 401);
  EXPECT_EQ(ask(first, "secret-3"), 401);
  EXPECT_EQ(ask(first, "secret-2"), 200);
  EXPECT_EQ(ask(second, "secret-1"), 0) << "another certificate is not trusted";
  serve(second);
  fs::remove(directory_ / "tokens");
  std::ofstream(directory_ / "tokens") << "secret-1\n";
  reload(cloud, 1);
  EXPECT_EQ(ask(second, "secret-2"), 401);
  EXPECT_EQ(ask(second, "secret-1"), 200);
  EXPECT_EQ(ask(first, "secret-1"), 0);
  const HttpUrl metrics{"127.0.0.1", std::stoi(read_text(metrics_port))};
  EXPECT_EQ(metric_value(body_of(metrics, "/metrics"),
                         R"(branchy_requests_total{model="net",result="ok"})"),
            2)
      << "what came without its token was computed";
}

TEST_F(CloudProcess, WrongUseIsTwoAndAModelThatIsNoneIsOne) {
  std::ofstream(version_file("1")) << "no model";
  ChildProcess broken({BRANCHY_CLOUD, "--models", models(), "--port", "0"}, directory_ / "broken");
  EXPECT_EQ(broken.wait(kProcessPatience), 1);
  EXPECT_THAT(read_text(directory_ / "broken"), testing::HasSubstr("no model could be loaded"));
  ChildProcess none({BRANCHY_CLOUD, "--port", "0"}, directory_ / "none");
  EXPECT_EQ(none.wait(kProcessPatience), 2);
  EXPECT_THAT(read_text(directory_ / "none"), testing::HasSubstr("--models DIR"));
}

}  // namespace
}  // namespace branchy
