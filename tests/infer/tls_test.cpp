// TLS of server and client, over real sockets and with certificates made here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "infer/http_client.h"
#include "infer/http_server.h"
#include "tests/infer/certificates.h"
#include "tests/infer/loopback.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using std::chrono::milliseconds;
using test::Certificate;
using test::RawSocket;
using testing::HasSubstr;

class TlsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory = std::make_unique<test::TemporaryDirectory>();
    loopback = test::make_certificate(*directory, "loopback", "DNS:localhost,IP:127.0.0.1");
    elsewhere = test::make_certificate(*directory, "elsewhere", "DNS:elsewhere.example");
  }
  static void TearDownTestSuite() { directory.reset(); }

  void serve(const Certificate& certificate, HttpServerOptions options = {}) {
    options.tls_certificate = certificate.certificate_file;
    options.tls_key = certificate.key_file;
    server_ = std::make_unique<HttpServer>(std::move(options), HttpServer::QuickHandler(),
                                           [](HttpRequest request, const Responder& respond) {
                                             respond({.body = std::move(request.body)});
                                           });
    server_->start();
  }
  [[nodiscard]] HttpUrl url(const std::string& host = "127.0.0.1") const {
    return {.host = host, .port = server_->port(), .tls = true};
  }
  [[nodiscard]] Result<HttpExchange> post(const Certificate& trusted, std::string body,
                                          const std::string& host = "127.0.0.1") const {
    HttpClient client(url(host), {.ca_file = trusted.certificate_file});
    return client.exchange({.method = "POST", .body = std::move(body)}, milliseconds(10000));
  }
  static void expect_refused(const Result<HttpExchange>& result, const std::string& text) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.failure().kind, FailureKind::kRefused);
    EXPECT_THAT(result.failure().text, HasSubstr(text));
  }

  static std::unique_ptr<test::TemporaryDirectory> directory;
  static Certificate loopback;
  static Certificate elsewhere;
  std::unique_ptr<HttpServer> server_;
};

std::unique_ptr<test::TemporaryDirectory> TlsTest::directory;
Certificate TlsTest::loopback;
Certificate TlsTest::elsewhere;

TEST_F(TlsTest, CarriesBodiesOfAnySizeOnOneConnection) {
  serve(loopback);
  HttpClient client(url(), {.ca_file = loopback.certificate_file});
  for (const std::size_t size : {0U, 1U, 16383U, 16384U, 100'000U, 3'000'000U, 5U}) {
    std::string body(size, 'x');
    for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>(i * 7);
    const auto result = client.exchange({.method = "POST", .body = body}, milliseconds(10000));
    ASSERT_TRUE(result.ok()) << result.failure().text;
    EXPECT_EQ(result->response.body, body);
  }
  EXPECT_EQ(server_->stats().connections_accepted, 1);
}

TEST_F(TlsTest, VerifiesNamesAndAddresses) {
  serve(loopback);
  EXPECT_TRUE(post(loopback, "x", "localhost").ok());
  EXPECT_TRUE(post(loopback, "x", "127.0.0.1").ok());
  serve(elsewhere);
  expect_refused(post(elsewhere, "x", "localhost"), "certificate is not trusted: hostname");
  expect_refused(post(elsewhere, "x", "127.0.0.1"), "certificate is not trusted: IP address");
}

TEST_F(TlsTest, RefusesUntrustedCertificatesAndPlainServers) {
  serve(loopback);
  expect_refused(post(elsewhere, "x"), "certificate is not trusted: self");
  HttpClient system(url());
  expect_refused(system.exchange({}, milliseconds(5000)), "certificate is not trusted: self");
  const test::FakePeer plain([](RawSocket& socket) { socket.send("HTTP/1.1 400 Bad\r\n\r\n"); });
  HttpClient client({.host = "127.0.0.1", .port = plain.port(), .tls = true});
  expect_refused(client.exchange({}, milliseconds(5000)), "peer does not speak TLS");
}

TEST_F(TlsTest, TheDeadlineCoversTheHandshake) {
  const test::FakePeer silent([](RawSocket& socket) { (void)socket.read_all(); });
  HttpClient client({.host = "127.0.0.1", .port = silent.port(), .tls = true});
  const auto start = std::chrono::steady_clock::now();
  const auto result = client.exchange({}, milliseconds(150));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.failure().kind, FailureKind::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(3000));
}

TEST_F(TlsTest, ClosesPlainAndSilentClients) {
  serve(loopback, {.handshake_timeout = milliseconds(150)});
  const RawSocket plain = RawSocket::connect(server_->port());
  plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(plain.read_all(), testing::Not(HasSubstr("HTTP/1.1")));  // an alert, then the end
  const RawSocket silent = RawSocket::connect(server_->port());
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_TRUE(post(loopback, "still here").ok());
}

TEST_F(TlsTest, ManyClientsAtOnceKeepTheirAnswers) {
  serve(loopback, {.workers = 2});
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([this, i] {
      HttpClient client(url(), {.ca_file = loopback.certificate_file});
      for (int j = 0; j < 20; ++j) {
        const std::string body(20'000, static_cast<char>('a' + i));
        const auto result = client.exchange({.method = "POST", .body = body}, milliseconds(10000));
        ASSERT_TRUE(result.ok()) << result.failure().text;
        EXPECT_EQ(result->response.body, body);
      }
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST_F(TlsTest, ReloadsItsCertificateAndKeepsTheOldOneWhenTheNewIsNoGood) {
  const Certificate served = test::make_certificate(*directory, "served", "IP:127.0.0.1");
  serve(served);
  HttpClient kept(url(), {.ca_file = served.certificate_file});
  const Certificate old{(*directory / "old.pem").string(), ""};
  std::filesystem::copy(served.certificate_file, old.certificate_file);
  HttpClient before(url(), {.ca_file = old.certificate_file});
  ASSERT_TRUE(before.exchange({}, milliseconds(5000)).ok());

  std::ofstream(served.key_file) << "no key\n";
  test::expect_error<ConfigError>([&] { server_->reload_tls(); }, {served.key_file});
  EXPECT_TRUE(post(old, "x").ok());

  std::filesystem::copy(loopback.certificate_file, served.certificate_file,
                        std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy(loopback.key_file, served.key_file,
                        std::filesystem::copy_options::overwrite_existing);
  server_->reload_tls();
  EXPECT_TRUE(post(loopback, "x").ok());
  expect_refused(post(old, "x"), "not trusted");
  EXPECT_TRUE(before.exchange({}, milliseconds(5000)).ok());  // connections go on
}

TEST_F(TlsTest, BadFilesAreOneLine) {
  const auto open = [](const std::string& certificate, const std::string& key) {
    HttpServer({.tls_certificate = certificate, .tls_key = key}, {}, {});
  };
  const std::string good = loopback.certificate_file;
  test::expect_error<ConfigError>([&] { open("/nowhere.pem", loopback.key_file); },
                                  {"/nowhere.pem", "certificate"});
  test::expect_error<ConfigError>([&] { open(good, "/nowhere.key"); }, {"/nowhere.key", "key"});
  test::expect_error<ConfigError>([&] { open(good, elsewhere.key_file); },
                                  {elsewhere.key_file, "key"});
  test::expect_error<ConfigError>([&] { open(good, ""); }, {"[tls]", "both"});
  test::expect_error<ConfigError>(
      [] { HttpClient({.host = "x", .port = 1, .tls = true}, {.ca_file = "/nowhere.pem"}); },
      {"/nowhere.pem"});
}

TEST_F(TlsTest, StopsWhileConnectionsAreOpen) {
  serve(loopback);
  HttpClient idle(url(), {.ca_file = loopback.certificate_file});
  EXPECT_TRUE(idle.exchange({}, milliseconds(5000)).ok());
  const RawSocket halfway = RawSocket::connect(server_->port());
  halfway.send("\x16\x03\x01");
  const auto start = std::chrono::steady_clock::now();
  server_->stop(milliseconds(5000));
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(4000));
}

}  // namespace
}  // namespace branchy
