// Two clouds behind nginx with the configuration of infer/nginx.conf: one is killed under load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/infer/certificates.h"
#include "tests/infer/cloud_process.h"
#include "tests/infer/loopback.h"
#include "tests/infer/metrics_text.h"

namespace branchy {
namespace {

namespace fs = std::filesystem;
using test::CheckedLoad;
using test::ChildProcess;
using test::KnownModel;
using test::kProcessPatience;
using test::read_text;
using test::wait_until;

constexpr const char* kNginx = "/usr/sbin/nginx";
constexpr const char* kOpenssl = "/usr/bin/openssl";

class CloudScale : public test::CloudProcessTest {
 protected:
  void SetUp() override {
    for (const char* program : {kNginx, kOpenssl}) {
      if (!fs::exists(program))
        GTEST_SKIP() << program << " is not installed (Debian packages: nginx-light, openssl)";
    }
  }

  /// The configuration with this test's ports and paths; each of them must be there to be replaced.
  std::string rendered(int port, const Cloud& one, const Cloud& other) {
    std::string text = read_text(BRANCHY_NGINX_CONF);
    const std::string place = directory_.path().string();
    std::string temporary = "http {\n";
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
      temporary += std::string("  ") + kind + "_temp_path " + place + "/" + kind + ";\n";
    const std::vector<std::pair<std::string, std::string>> changes = {
        {"user www-data;", ""},
        {"worker_processes auto;", "worker_processes 2;"},
        {"/run/nginx.pid", place + "/nginx.pid"},
        {"/var/log/nginx/error.log", place + "/error.log"},
        {"/var/log/nginx/access.log", place + "/access.log"},
        {"/etc/branchy/certificate.pem", certificate_.certificate_file},
        {"/etc/branchy/key.pem", certificate_.key_file},
        {"http {\n", temporary},
        {"listen 443 ssl;", "listen 127.0.0.1:" + std::to_string(port) + " ssl;"},
        {"server 127.0.0.1:8001", "server 127.0.0.1:" + std::to_string(one.port)},
        {"server 127.0.0.1:8002", "server 127.0.0.1:" + std::to_string(other.port)}};
    for (const auto& [from, to] : changes) {
      std::size_t at = text.find(from);
      EXPECT_NE(at, std::string::npos) << from;
      for (; at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    }
    return text;
  }

  /// In the foreground; answers when it returns.
  std::unique_ptr<ChildProcess> start_nginx(const Cloud& one, const Cloud& other) {
    {
      const test::FakePeer free_port([](test::RawSocket&) {});
      url_ = {"127.0.0.1", free_port.port(), true};
    }
    const fs::path file = directory_ / "nginx.conf";
    std::ofstream(file) << rendered(url_.port, one, other);
    auto nginx = std::make_unique<ChildProcess>(
        std::vector<std::string>{kNginx, "-p", directory_.path().string(), "-e",
                                 (directory_ / "error.log").string(), "-c", file.string(), "-g",
                                 "daemon off;"},
        directory_ / "nginx.log");
    EXPECT_TRUE(wait_until([&] { return status("/v2/health/ready") == 200 || !nginx->running(); },
                           kProcessPatience));
    EXPECT_TRUE(nginx->running()) << read_text(directory_ / "nginx.log")
                                  << read_text(directory_ / "error.log");
    return nginx;
  }

  HttpClientOptions client_options() { return {.ca_file = certificate_.certificate_file}; }
  int status(const std::string& path) {
    HttpClient client(url_, client_options());
    const auto answer = client.exchange({.target = path}, test::seconds(30));
    return answer.ok() ? answer->response.status : 0;
  }

  /// Requests that a cloud has answered itself.
  static double served_by(const Cloud& cloud) {
    return test::metric_value(body_of(cloud.url(), "/metrics"),
                              R"(branchy_requests_total{model="resnet44",result="ok"})");
  }

  HttpUrl url_;
  test::Certificate certificate_;
};

TEST_F(CloudScale, AKilledCloudCostsNoAnswer) {
  certificate_ = test::make_certificate(directory_, "nginx", "IP:127.0.0.1");
  const KnownModel model(directory_ / "model.safetensors", 0.05F);
  const std::vector<std::string> words = {"--model", (directory_ / "model.safetensors").string()};
  Cloud one = start_cloud(BRANCHY_CLOUD, words);
  const Cloud other = start_cloud(BRANCHY_CLOUD, words);
  const std::unique_ptr<ChildProcess> nginx = start_nginx(one, other);
  EXPECT_EQ(status("/metrics"), 404) << "not for the world";
  EXPECT_EQ(status("/v2/repository/index"), 404);
  EXPECT_EQ(status("/v2"), 200);
  EXPECT_EQ(status("/v2/models/resnet44"), 200);

  CheckedLoad load(
      url_, "/v2/models/resnet44/infer", 8,
      [&](int image, const auto& response) { return model.answers(image, response); },
      client_options());
  EXPECT_TRUE(load.wait_for_more(60));
  one.process->signal(SIGKILL);
  EXPECT_TRUE(load.wait_for_more(120)) << read_text(directory_ / "error.log");
  // Again, with the other one: the first has come back where it was.
  EXPECT_FALSE(one.process->running());
  one = start_cloud(BRANCHY_CLOUD, words, one.port);
  EXPECT_TRUE(wait_until([&] { return served_by(one) > 0; }, kProcessPatience))
      << "nginx did not go back to it";
  other.process->signal(SIGKILL);
  EXPECT_TRUE(load.wait_for_more(120)) << read_text(directory_ / "error.log");
  load.stop();
  EXPECT_EQ(load.lost(), 0) << read_text(directory_ / "error.log");
  EXPECT_EQ(load.wrong(), 0);
  one.process->signal(SIGTERM);
  EXPECT_EQ(one.process->wait(kProcessPatience), 0);
  EXPECT_EQ(status("/v2/models/resnet44"), 503) << "no cloud is left, and nginx says so";
  nginx->signal(SIGTERM);
  EXPECT_EQ(nginx->wait(kProcessPatience), 0);
}

}  // namespace
}  // namespace branchy
