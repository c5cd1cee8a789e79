#include "infer/cloud_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/error.h"
#include "core/provenance.h"
#include "infer/cloud_client.h"
#include "infer/http_client.h"
#include "infer/request_deadline.h"
#include "infer/threshold_list.h"
#include "tests/infer/loopback.h"
#include "tests/infer/metrics_text.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// Three classes; answers what a test sets.
class FakeBackend final : public InferBackend {
 public:
  [[nodiscard]] ModelDescription describe() const override {
    return {.name = "net",
            .inputs = {{"image", "UINT8", {-1, 3, 2, 2}},
                       {"feature@b1", "FP32", {-1, 4, 1, 1}},
                       {"code@b1", "UINT8", {-1, -1}},
                       {"edge_class", "INT32", {-1, 2}, true},
                       {"edge_confidence", "FP32", {-1, 2}, true}},
            .outputs = {{"logits", "FP32", {-1, 3}}, {"exit_index", "INT32", {-1}}},
            .num_exits = 3};
  }
  [[nodiscard]] InferResponse infer(const InferRequest& request) override {
    seen = request;
    if (failure == "http") throw HttpError(400, "bad thresholds");
    if (failure == "internal") throw std::runtime_error("secret");
    InferResponse response;
    response.parameters["compute_ms"] = 1.25;
    response.outputs = {fp32_tensor("logits", {1, std::ssize(logits)}, logits),
                        int32_tensor("exit_index", {1}, std::vector<std::int32_t>{exit}),
                        fp32_tensor("confidence", {1}, std::vector<float>{confidence}),
                        int32_tensor("last_exit", {1},
                                     std::vector<std::int32_t>{last_exit == 0 ? exit : last_exit}),
                        uint8_tensor("dropped", {1}, std::vector<std::uint8_t>{0})};
    return response;
  }

  InferRequest seen;
  std::string failure;
  std::vector<float> logits = {1, 5, 2};
  std::int32_t exit = 3, last_exit = 0;  // 0: as `exit`
  float confidence = 0.75F;
};

class CloudServiceTest : public testing::Test {
 protected:
  CloudServiceTest() { service_.set_backend(backend_); }

  HttpResponse get(std::string target, std::string method = "GET") {
    const auto response =
        service_.quick({.method = std::move(method), .target = std::move(target)});
    return response.value_or(HttpResponse{.status = 0});
  }
  HttpResponse post(std::string body) {
    return service_.infer(
        {.method = "POST", .target = "/v2/models/net/infer", .body = std::move(body)});
  }

  std::shared_ptr<FakeBackend> backend_ = std::make_shared<FakeBackend>();
  CloudService service_;
};

TEST_F(CloudServiceTest, AnswersHealthAndMetadata) {
  EXPECT_THAT(get("/v2").body, HasSubstr("binary_tensor_data"));
  EXPECT_THAT(get("/v2").body, HasSubstr(version_string()));
  for (const char* path : {"/v2/health/live", "/v2/health/ready", "/v2/models/net/ready",
                           "/v2/models/net/versions/1", "/v2/models/net/versions/1/ready"}) {
    EXPECT_EQ(get(path).status, 200) << path;
  }
  const ModelDescription model = parse_model_metadata(get("/v2/models/net?x=1").body);
  EXPECT_EQ(model.inputs.at(1).name, "feature@b1");
}

TEST_F(CloudServiceTest, UnknownIs404AndWrongMethod405) {
  for (const char* path : {"/", "/v3", "/v2/models/", "/v2/models/other", "/v2/models/net/x",
                           "/v2/models/net/versions", "/v2/models/net/versions/2/ready",
                           "/v2/models/net/infer/more"}) {
    EXPECT_EQ(get(path).status, 404) << path;
    EXPECT_THAT(get(path).body, HasSubstr("{\"error\":")) << path;
  }
  EXPECT_EQ(get("/v2", "POST").status, 405);
  const HttpResponse wrong = get("/v2/models/net/infer");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(find_header(wrong.headers, "allow"), "POST, OPTIONS");
  EXPECT_EQ(get("/v2/models/other/infer", "POST").status, 404);
  EXPECT_EQ(get("/v2/models/net/infer", "POST").status, 0) << "left to a worker";
  EXPECT_EQ(find_header(get("/v2", "DELETE").headers, "allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(get("/v2/models/net", "HEAD").status, 200);
  const HttpResponse options = get("/v2/models/net/infer", "OPTIONS");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(find_header(options.headers, "allow"), "POST, OPTIONS");
}

TEST_F(CloudServiceTest, IsNotReadyWithoutABackend) {
  CloudService empty;
  EXPECT_EQ(empty.quick({.target = "/v2/health/live"})->status, 200);
  for (const char* path : {"/v2/health/ready", "/v2/models/net", "/v2/models/net/ready"}) {
    const auto response = empty.quick({.target = path});
    EXPECT_EQ(response->status, 503) << path;
    EXPECT_EQ(find_header(response->headers, "Retry-After"), "1");
  }
}

TEST_F(CloudServiceTest, InfersFromJson) {
  const HttpResponse response =
      post(R"({"id":"a","inputs":[{"name":"feature@b1","shape":[1,4,1,1],"datatype":"FP32",)"
           R"("data":[1,2,3,4]}],"parameters":{"thresholds":"0.5"}})");
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_THAT(response.body, HasSubstr(R"("id":"a")"));
  EXPECT_THAT(response.body, HasSubstr(R"("model_version":"1")"));
  EXPECT_THAT(response.body, HasSubstr(R"("data":[1.0,5.0,2.0])"));
  EXPECT_EQ(string_parameter(backend_->seen.parameters, "thresholds"), "0.5");
}

TEST_F(CloudServiceTest, RefusesInputsThatTheModelHasNot) {
  const auto status = [&](const std::string& inputs) {
    return post(R"({"inputs":[)" + inputs + "]}");
  };
  const std::string good = R"({"name":"image","datatype":"UINT8","shape":[1,1,1,1],"data":[0]})";
  EXPECT_THAT(status(good).body, HasSubstr("the model expects UINT8 [-1,3,2,2]"));
  EXPECT_EQ(status(good).status, 400);
  EXPECT_EQ(status("").status, 400);
  EXPECT_THAT(status(R"({"name":"x","datatype":"UINT8","shape":[1],"data":[0]})").body,
              HasSubstr("image feature@b1"));
  EXPECT_EQ(status(R"({"name":"image","datatype":"UINT8","shape":[0,3,2,2],"data":[]})").status,
            400);
  EXPECT_EQ(status(R"({"name":"feature@b1","datatype":"INT32","shape":[1,4,1,1],)"
                   R"("data":[1,2,3,4]})")
                .status,
            400);
}

TEST_F(CloudServiceTest, FailuresTellNoInternals) {
  const std::string body = R"({"inputs":[{"name":"feature@b1","shape":[1,4,1,1],)"
                           R"("datatype":"FP32","data":[1,2,3,4]}]})";
  backend_->failure = "http";
  EXPECT_EQ(post(body).body, R"({"error":"bad thresholds"})");
  backend_->failure = "internal";
  const HttpResponse internal = post(body);
  EXPECT_EQ(internal.status, 500);
  EXPECT_EQ(internal.body, R"({"error":"internal error, request 2"})");
  backend_->failure.clear();
  backend_->logits = {1, std::numeric_limits<float>::quiet_NaN(), 2};
  EXPECT_EQ(post(body).status, 500);
}

const std::string kGoodBody =
    R"({"inputs":[{"name":"feature@b1","shape":[1,4,1,1],"datatype":"FP32","data":[1,2,3,4]}]})";

TEST_F(CloudServiceTest, RequestsThatAreLateAreNotComputed) {
  using Clock = std::chrono::steady_clock;
  const auto post_with = [&](const std::string& timeout, Clock::duration age) {
    backend_->seen = {};
    return service_.infer({.method = "POST",
                           .target = "/v2/models/net/infer",
                           .headers = {{"branchy-timeout-ms", timeout}},
                           .body = kGoodBody,
                           .arrived = Clock::now() - age});
  };
  EXPECT_EQ(post_with("60000", std::chrono::seconds(1)).status, 200);
  const HttpResponse late = post_with("500", std::chrono::seconds(1));
  EXPECT_EQ(late.status, 504);
  EXPECT_THAT(late.body, HasSubstr("late"));
  EXPECT_TRUE(backend_->seen.inputs.empty()) << "was computed";
  EXPECT_EQ(post_with("0", {}).status, 504);
  for (const char* bad : {"", "x", "-1", "1.5", "1s", "99999999999"})
    EXPECT_EQ(post_with(bad, {}).status, 400) << bad;
  const HttpRequest old{.arrived = Clock::time_point(std::chrono::hours(1))};
  EXPECT_EQ(request_deadline(old, milliseconds(0)), std::nullopt);
  EXPECT_EQ(request_deadline(old, milliseconds(7)), old.arrived + milliseconds(7));
}

TEST_F(CloudServiceTest, CountsRequestsExitsAndWhatEdgesReport) {
  const auto send = [&](const std::string& body, const std::string& report) {
    return service_
        .infer({.method = "POST",
                .target = "/v2/models/net/infer",
                .headers = {{"Branchy-Edge-Exits", report}},
                .body = body})
        .status;
  };
  EXPECT_EQ(send(kGoodBody, "1=12,2=3"), 200);
  EXPECT_EQ(send(kGoodBody, "1=1"), 200);
  EXPECT_EQ(send("{}", "1=100"), 400) << "will be reported again";
  for (const char* bad : {"1", "1=", "=1", "0=1", "65=1", "1=1,1=2", "1=1,", "1=-1", "a=b", ""})
    EXPECT_EQ(send(kGoodBody, bad), 400) << bad;
  EXPECT_EQ(get("/v2/models/other/infer", "POST").status, 404);
  const HttpResponse metrics = get("/metrics");
  EXPECT_EQ(find_header(metrics.headers, "content-type"), kMetricsContentType);
  const std::string& text = metrics.body;
  EXPECT_EQ(test::format_error(text), "") << text;
  const auto value = [&](const std::string& sample) { return test::metric_value(text, sample); };
  EXPECT_EQ(value(R"(branchy_requests_total{model="net",result="ok"})"), 2);
  EXPECT_EQ(value(R"(branchy_requests_total{model="net",result="bad_request"})"), 11);
  EXPECT_EQ(value(R"(branchy_requests_total{model="",result="not_found"})"), 1);
  EXPECT_EQ(value(R"(branchy_exits_total{exit="3",model="net"})"), 2);
  EXPECT_EQ(value(R"(branchy_edge_exits_total{exit="1"})"), 13);
  EXPECT_EQ(value(R"(branchy_edge_exits_total{exit="2"})"), 3);
  EXPECT_EQ(value(R"(branchy_request_stage_seconds_count{stage="compute"})"), 2);
  EXPECT_EQ(value("branchy_batch_rows_count"), 2);
  EXPECT_EQ(format_edge_exits({{1, 12}, {2, 0}, {3, 4}}), "1=12,3=4");
}

TEST_F(CloudServiceTest, ServesVersionsAndKeepsWhatARequestBeganWith) {
  auto table = std::make_shared<ModelTable>();
  for (const char* version : {"2", "10", "9"})
    table->add("net", version, std::make_shared<FakeBackend>());
  table->add("other", "1", backend_);
  table->add_failed({"broken", "1", "no \"model\""});
  test::expect_error<ConfigError>([&] { table->add("net", "2", backend_); }, {"twice"});
  test::expect_error<ConfigError>([&] { table->add("net", "v1", backend_); }, {"'v1'"});
  service_.set_models(table);
  EXPECT_THAT(get("/v2/models/net").body, HasSubstr(R"("versions":["2","9","10"])"));
  EXPECT_THAT(post(kGoodBody).body, HasSubstr(R"("model_version":"10")"));
  EXPECT_EQ(get("/v2/models/net/versions/9").status, 200);
  EXPECT_EQ(get("/v2/models/net/versions/09").status, 404);
  const HttpResponse unknown = get("/v2/models/net/versions/1");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.body, HasSubstr("net 2 9 10, other 1"));
  const auto index = [&](const std::string& body) {
    return service_.infer({.method = "POST", .target = "/v2/repository/index", .body = body}).body;
  };
  EXPECT_THAT(index(""), HasSubstr(R"("name":"broken","reason":"no \"model\"","state":"UNAV)"));
  EXPECT_THAT(index(R"({"ready":true})"), testing::Not(HasSubstr("broken")));
  EXPECT_THAT(index("[]"), HasSubstr("error"));
  service_.set_models(std::make_shared<ModelTable>());
  EXPECT_EQ(get("/v2/health/ready").status, 503);
}

TEST_F(CloudServiceTest, IsNotReadyWhileItDrainsButAnswers) {
  service_.begin_drain();
  EXPECT_EQ(get("/v2/health/ready").status, 503);
  EXPECT_EQ(get("/v2/models/net/ready").status, 503);
  EXPECT_EQ(get("/v2/health/live").status, 200);
  EXPECT_EQ(post(kGoodBody).status, 200);
  service_.stop();
  EXPECT_EQ(post(kGoodBody).status, 503);
}

TEST(RequestRecord, IsOneLineWhateverTheClientSends) {
  RequestRecord record{.number = 7,
                       .client_id = "a\nb" + std::string(1000, 'x'),
                       .model = "net",
                       .version = "1",
                       .status = 504};
  record.failure = "too\nlate";
  const std::string line = log_line(record);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_LT(line.size(), 400U);
  EXPECT_THAT(line, HasSubstr("request 7 id='a?b"));
  EXPECT_THAT(line, HasSubstr("model=net/1 status=504"));
  EXPECT_EQ(record.result(), "late");
}

TEST(CloudService, RefusesModelNamesThatAreNoPath) {
  class Named final : public InferBackend {
    [[nodiscard]] ModelDescription describe() const override {
      return {.name = "a/b", .inputs = {}, .outputs = {}};
    }
    [[nodiscard]] InferResponse infer(const InferRequest&) override { return {}; }
  };
  CloudService service;
  test::expect_error<ConfigError>([&] { service.set_backend(std::make_shared<Named>()); },
                                  {"'a/b'"});
}

TEST(Thresholds, AreReadOrNamed) {
  EXPECT_EQ(parse_thresholds("0.5,1,0"), (std::vector<float>{0.5F, 1, 0}));
  for (const char* bad : {"", "1.5", "-0.1", "nan", "inf", "0.5,", "x", "0.5x", "0.5;0.6"}) {
    test::expect_error<ConfigError>([&] { (void)parse_thresholds(bad); }, {"[threshold]"});
  }
}

// The typed client against the service behind a real server, and against peers that misbehave.
class CloudClientTest : public CloudServiceTest {
 protected:
  CloudClientTest() : server_({}, service_.quick_handler(), service_.handler()) { server_.start(); }

  static CloudModel model() {
    return {.name = "net", .cut = "b1", .num_classes = 3, .num_exits = 3, .num_edge_exits = 2};
  }
  static CloudClientOptions options(int port, CloudModel served) {
    return {.url = {"127.0.0.1", port}, .model = std::move(served), .timeout = milliseconds(5000)};
  }
  Result<CloudAnswer> ask() {
    CloudClient client(options(server_.port(), model()));
    return client.infer(feature_question(model(), Tensor::full({1, 4, 1, 1}, 0.5F)));
  }
  void expect_failure(const Result<CloudAnswer>& answer, FailureKind kind, const char* text) {
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.failure().kind, kind) << answer.failure().text;
    EXPECT_THAT(answer.failure().text, HasSubstr(text));
  }

  HttpServer server_;
};

TEST_F(CloudClientTest, FeatureAndImageAreAnswered) {
  CloudClient client(options(server_.port(), model()));
  CloudQuestion question = feature_question(model(), Tensor::full({1, 4, 1, 1}, 0.5F));
  question.policy = "p-tar:0.8";
  const auto feature = client.infer(question);
  ASSERT_TRUE(feature.ok()) << feature.failure().text;
  EXPECT_EQ(feature->logits, (std::vector<float>{1, 5, 2}));
  EXPECT_EQ(feature->exit, 3);
  EXPECT_EQ(feature->compute_ms, 1.25);
  EXPECT_GT(feature->bytes_sent, 16);
  EXPECT_GT(feature->round_trip_ms, 0);
  EXPECT_EQ(string_parameter(backend_->seen.parameters, "policy"), "p-tar:0.8");
  EXPECT_EQ(fp32_values(backend_->seen.inputs.at(0)), std::vector<float>(4, 0.5F));
  backend_->exit = 1;
  const auto image = client.infer(image_question({1, 3, 2, 2}, std::vector<std::uint8_t>(12, 7)));
  ASSERT_TRUE(image.ok()) << image.failure().text;
  EXPECT_EQ(image->exit, 1);
  EXPECT_EQ(client.describe()->inputs.size(), 5U);
  EXPECT_TRUE(client.describe()->inputs.back().optional);
}

TEST_F(CloudClientTest, WhatTheEdgeSawTravelsAndMayBeTheAnswer) {
  CloudClient client(options(server_.port(), model()));
  backend_->exit = 2;
  backend_->last_exit = 3;
  const std::vector<std::byte> code(5, std::byte{9});
  CloudQuestion question = code_question(model(), code);
  question.policy = "p-tar:0.8";
  question.seen = {{2, 7, 0.5F}};
  const auto answer = client.infer(question);
  ASSERT_TRUE(answer.ok()) << answer.failure().text;
  EXPECT_EQ(answer->exit, 2);
  EXPECT_EQ(answer->last_exit, 3);
  ASSERT_EQ(backend_->seen.inputs.size(), 3U);
  EXPECT_EQ(backend_->seen.inputs[0].shape, (std::vector<std::int64_t>{1, 5}));
  EXPECT_EQ(int32_values(backend_->seen.inputs[1]), (std::vector<std::int32_t>{-1, 7}));
  EXPECT_EQ(fp32_values(backend_->seen.inputs[2]), (std::vector<float>{0, 0.5F}));
  backend_->exit = 1;
  expect_failure(client.infer(question), FailureKind::kProtocol, "from exit 1");
}

// Logits are the first three values of the request's feature.
class EchoBackend final : public InferBackend {
 public:
  [[nodiscard]] ModelDescription describe() const override {
    return {.name = "net",
            .inputs = {{"feature@b1", "FP32", {-1, 4, 1, 1}}},
            .outputs = {{"logits", "FP32", {-1, 3}}}};
  }
  [[nodiscard]] InferResponse infer(const InferRequest& request) override {
    std::vector<float> values = fp32_values(request.inputs.front());
    values.pop_back();
    InferResponse response;
    response.outputs = {fp32_tensor("logits", {1, 3}, values)};
    return response;
  }
  [[nodiscard]] std::optional<std::string> batch_key(const InferRequest&) const override {
    return "k";
  }
};

TEST(CloudService, NoAnswerOfOneClientReachesAnother) {
  CloudService service({.batching = {.workers = 2, .wait = std::chrono::microseconds(200)}});
  service.set_backend(std::make_shared<EchoBackend>());
  HttpServer server({.workers = 2}, service.quick_handler(), service.handler());
  const StopGuard stop(service);
  server.start();
  std::atomic<int> right{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < 6; ++client) {
    clients.emplace_back([&, client] {
      HttpClient http({"127.0.0.1", server.port()});
      for (int i = 0; i < 40; ++i) {
        const std::string id = std::to_string(client) + "/" + std::to_string(i);
        const std::string values = std::to_string(client) + ".0," + std::to_string(i) + ".0,";
        std::string body = R"({"id":")";
        body += id;
        body += R"(","inputs":[{"name":"feature@b1","shape":[1,4,1,1],"datatype":"FP32","data":[)";
        body += values;
        body += "7.0,0]}]}";
        const auto answer = http.exchange(
            {.method = "POST", .target = "/v2/models/net/infer", .body = std::move(body)},
            milliseconds(20000));
        if (answer.ok() &&
            answer->response.body.find("\"id\":\"" + id + "\"") != std::string::npos &&
            answer->response.body.find("[" + values + "7.0]") != std::string::npos)
          ++right;
        if (i % 10 == 0) service.set_backend(std::make_shared<EchoBackend>());
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(right, 240);
  server.stop(milliseconds(5000));
}

TEST_F(CloudClientTest, AProbeIsAsLongAsItsPadding) {
  CloudClient client(options(server_.port(), model()));
  const auto bare = client.probe(0);
  const auto padded = client.probe(CloudClient::kMaxPadding);
  ASSERT_TRUE(bare.ok() && padded.ok());
  EXPECT_GE(padded->bytes, bare->bytes + 4096);
  EXPECT_GT(padded->ms, 0);
}

TEST_F(CloudClientTest, BelievesNoWrongAnswer) {
  backend_->exit = 2;
  expect_failure(ask(), FailureKind::kProtocol, "exit 2, expected 3..3");
  backend_->exit = 3;
  backend_->confidence = 1.5F;
  expect_failure(ask(), FailureKind::kProtocol, "confidence is 1.5");
  backend_->confidence = 0.5F;
  backend_->logits = {1, 2};
  expect_failure(ask(), FailureKind::kProtocol, "shape [1,2], expected [1,3]");
  backend_->failure = "internal";
  expect_failure(ask(), FailureKind::kFailed, "answered 500: internal error");
}

TEST_F(CloudClientTest, RefusalsCarryTheReason) {
  CloudModel other = model();
  other.name = "other";
  CloudClient client(options(server_.port(), other));
  const auto described = client.describe();
  ASSERT_FALSE(described.ok());
  EXPECT_THAT(described.failure().text, HasSubstr("answered 404"));
}

TEST_F(CloudClientTest, GarbageFromThePeerIsAValue) {
  const auto ask_peer = [](const std::string& body, const std::string& header) {
    const test::FakePeer peer([&](test::RawSocket& socket) {
      (void)socket.read_until("\r\n\r\n");
      socket.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                  header + "\r\n" + body);
    });
    CloudClient client(options(peer.port(), model()));
    return client.infer(feature_question(model(), Tensor::full({1, 4, 1, 1}, 0.5F)));
  };
  expect_failure(ask_peer("<html>", ""), FailureKind::kProtocol, "not JSON");
  expect_failure(ask_peer("{}", ""), FailureKind::kProtocol, "outputs");
  expect_failure(ask_peer("{}", "Inference-Header-Content-Length: 99\r\n"), FailureKind::kProtocol,
                 "'99'");
  expect_failure(ask_peer(R"({"id":"1","outputs":[]})", ""), FailureKind::kProtocol, "'logits'");
  expect_failure(ask_peer(R"({"id":"8","outputs":[]})", ""), FailureKind::kProtocol, "'8'");
  std::string nan = R"({"id":"1","outputs":[{"name":"logits","datatype":"FP32","shape":[1,3],)"
                    R"("parameters":{"binary_data_size":12}}]})";
  const std::string length = std::to_string(nan.size());
  nan += std::string(12, '\xFF');
  expect_failure(ask_peer(nan, "Inference-Header-Content-Length: " + length + "\r\n"),
                 FailureKind::kProtocol, "nan");
}

}  // namespace
}  // namespace branchy
