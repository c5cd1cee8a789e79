// The edge's own endpoint over real sockets.
#include "infer/edge_service.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "core/threads.h"
#include "data/jpeg_images.h"
#include "infer/http_client.h"
#include "infer/policies/fixed.h"
#include "infer/policies/max_probability.h"
#include "tests/data/image_samples.h"
#include "tests/infer/loopback.h"
#include "tests/infer/metrics_text.h"
#include "tests/infer/split_models.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;

using Pixels = std::vector<std::uint8_t>;

constexpr const char* kInfer = "/v2/models/cnn9/infer";

std::string text_of(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

// A cloud that takes every connection and says nothing until it is let go, then hangs up.
class StalledCloud {
 public:
  StalledCloud()
      : peer_([this](test::RawSocket&) {
          std::unique_lock lock(mutex_);
          changed_.wait(lock, [this] { return released_; });
        }) {}
  ~StalledCloud() { release(); }
  void release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] HttpUrl url() const { return {.host = "127.0.0.1", .port = peer_.port()}; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool released_ = false;
  test::FakePeer peer_;
};

class EdgeServiceTest : public testing::Test {
 protected:
  EdgeServiceTest() { set_num_threads(1); }
  ~EdgeServiceTest() override { stop(); }

  // Everything is answered here, by the final exit unless `exit` says another one.
  void serve_whole(std::int64_t exit = 3) {
    start("whole", nullptr, {.engine = {.policy = std::make_shared<FixedPolicy>(exit)}});
  }
  // Some images leave here, the others want the cloud.
  void serve_edge(const HttpUrl& cloud, std::chrono::milliseconds timeout = 20s) {
    ServedModel model = load_served_model(models_.file("edge"));
    auto link =
        std::make_unique<CloudLink>(CloudLinkOptions{.client = {.url = cloud,
                                                                .model = cloud_model_for(model),
                                                                .timeout = timeout,
                                                                .connections = 1},
                                                     .retries = 0},
                                    nullptr);
    start("edge", std::move(link),
          {.engine = {.policy =
                          std::make_shared<MaxProbabilityPolicy>(ExitThresholds(thresholds_, 2))},
           .queue = 2});
  }
  void start(const std::string& file, std::unique_ptr<CloudLink> cloud,
             EdgePipelineOptions options) {
    pipeline_ = std::make_unique<EdgePipeline>(load_served_model(models_.file(file)),
                                               std::move(cloud), std::move(options));
    service_ = std::make_unique<EdgeService>(*pipeline_, intake_);
    server_options_.open_path = is_open_edge_path;
    server_ = std::make_unique<HttpServer>(server_options_, service_->quick_handler(),
                                           service_->handler());
    server_->start();
  }
  void stop() {
    if (!server_) return;
    server_->stop(1s);
    service_->stop();
    pipeline_->drain();
    server_.reset();
    service_.reset();
    pipeline_.reset();
  }

  [[nodiscard]] HttpResponse ask(HttpRequest request) const {
    HttpClient client({.host = "127.0.0.1", .port = server_->port()});
    const auto exchange = client.exchange(request, 30s);
    return exchange ? exchange->response
                    : HttpResponse{.status = 0, .body = exchange.failure().text};
  }
  [[nodiscard]] HttpResponse get(const std::string& target) const {
    return ask({.target = target});
  }
  [[nodiscard]] HttpResponse post(std::string body, HttpHeaders headers,
                                  const std::string& target = kInfer) const {
    return ask({.method = "POST",
                .target = target,
                .headers = std::move(headers),
                .body = std::move(body)});
  }
  [[nodiscard]] HttpResponse post_tensor(WireTensor tensor, HttpHeaders headers = {}) const {
    InferRequest request;
    request.id = "a-7";
    request.inputs.push_back(std::move(tensor));
    WireMessage message = build_infer_request(request);
    headers.emplace_back(std::string(kInferenceHeader), std::to_string(*message.json_bytes));
    return post(std::move(message.body), std::move(headers));
  }
  [[nodiscard]] json status() const { return json::parse(get("/v2/edge/status").body); }

  // What the pipeline says of an image by itself.
  [[nodiscard]] EdgeOutcome expected(const Image& image) const {
    return pipeline_->classify({.pixels = image.pixels});
  }
  // An image whose confidence at the first two exits lets it leave, or keeps it.
  [[nodiscard]] Image image_that_leaves(bool leaves) {
    EdgePipeline alone(load_served_model(models_.file("edge")), nullptr,
                       {.engine = {.policy = std::make_shared<MaxProbabilityPolicy>(
                                       ExitThresholds(thresholds_, 2))}});
    for (std::uint64_t key = 0; key < 200; ++key) {
      Image image = test::synth_image(key);
      if (alone.classify({.pixels = image.pixels}).degraded != leaves) return image;
    }
    throw std::runtime_error("no such image");
  }

  test::TemporaryDirectory directory_;
  test::SplitModels models_{directory_.path()};
  std::vector<float> thresholds_{0.32F, 0.42F};
  EdgeIntakeOptions intake_;
  HttpServerOptions server_options_;
  std::unique_ptr<EdgePipeline> pipeline_;
  std::unique_ptr<EdgeService> service_;
  std::unique_ptr<HttpServer> server_;
};

json output(const json& answer, const std::string& name) {
  for (const json& one : answer.at("outputs"))
    if (one.at("name") == name) return one;
  return {};
}

void expect_answer(const json& answer, std::size_t row, const EdgeOutcome& expected) {
  EXPECT_EQ(output(answer, "class_index").at("data").at(row), expected.prediction.label);
  EXPECT_EQ(output(answer, "exit_index").at("data").at(row), expected.prediction.exit);
  EXPECT_EQ(output(answer, "label").at("data").at(row),
            kSynthClasses[static_cast<std::size_t>(expected.prediction.label)]);
  EXPECT_EQ(output(answer, "confidence").at("data").at(row).get<float>(),
            expected.prediction.confidence);
}

TEST_F(EdgeServiceTest, ClassifiesABareImageFile) {
  serve_whole();
  for (std::uint64_t key = 0; key < 4; ++key) {
    const std::vector<std::uint8_t> file = encode_jpeg(test::synth_image(key), 90);
    const HttpResponse response = post(text_of(file), {{"Content-Type", "image/jpeg"}});
    ASSERT_EQ(response.status, 200) << response.body;
    const json answer = json::parse(response.body);
    expect_answer(answer, 0, expected(decode_image(file, "jpeg")));
    EXPECT_EQ(answer.at("model_name"), "cnn9");
    EXPECT_EQ(output(answer, "where").at("data"), (json{"edge"}));
    EXPECT_EQ(output(answer, "degraded").at("data"), (json{false}));
    EXPECT_GT(answer.at("parameters").at("decode_ms").get<double>(), 0);
    EXPECT_GE(answer.at("parameters").at("total_ms").get<double>(),
              answer.at("parameters").at("edge_ms").get<double>());
    EXPECT_EQ(answer.at("parameters").at("bytes_sent"), 0);
  }
  EXPECT_EQ(post(text_of(test::sample_png()), {{"Content-Type", "image/png"}}).status, 200)
      << "resized to the model's size";
}

TEST_F(EdgeServiceTest, ClassifiesTensorsOfPixelsAndOfFiles) {
  serve_whole(1);
  const Image first = test::synth_image(1);
  const Image second = test::synth_image(2);
  Pixels both = first.pixels;
  both.insert(both.end(), second.pixels.begin(), second.pixels.end());
  HttpResponse response = post_tensor(uint8_tensor("image", {2, 3, 32, 32}, both));
  ASSERT_EQ(response.status, 200) << response.body;
  json answer = json::parse(response.body);
  EXPECT_EQ(answer.at("id"), "a-7");
  expect_answer(answer, 0, expected(first));
  expect_answer(answer, 1, expected(second));

  const std::vector<std::string> files{text_of(encode_jpeg(first, 95)),
                                       text_of(encode_jpeg(second, 95))};
  response = post_tensor(bytes_tensor("encoded_image", {2}, files));
  ASSERT_EQ(response.status, 200) << response.body;
  answer = json::parse(response.body);
  for (std::size_t row = 0; row < 2; ++row)
    expect_answer(answer, row, expected(decode_image(test::bytes_of(files[row]), "jpeg")));

  const json request = {{"inputs",
                         {{{"name", "image"},
                           {"datatype", "UINT8"},
                           {"shape", {1, 3, 32, 32}},
                           {"data", first.pixels}}}},
                        {"outputs", {{{"name", "class_index"}}}}};
  response = post(request.dump(), {});
  ASSERT_EQ(response.status, 200) << response.body;
  answer = json::parse(response.body);
  ASSERT_EQ(answer.at("outputs").size(), 1U) << "no other output was wanted";
  EXPECT_EQ(output(answer, "class_index").at("data").at(0), expected(first).prediction.label);
}

TEST_F(EdgeServiceTest, ARawBodyIsPixelsOrAFileAndIsAnsweredInBinary) {
  serve_whole();
  const Image image = test::synth_image(3);
  for (const std::string& body : {text_of(image.pixels), text_of(encode_jpeg(image, 90))}) {
    const HttpResponse response = post(body, {{std::string(kInferenceHeader), "0"}});
    ASSERT_EQ(response.status, 200) << response.body;
    const InferResponse answer =
        parse_infer_response(response.body, find_header(response.headers, kInferenceHeader));
    EXPECT_EQ(int32_values(answer.outputs.at(0)).size(), 1U);
    EXPECT_EQ(answer.outputs.size(), describe_edge(pipeline_->model()).outputs.size());
  }
}

TEST_F(EdgeServiceTest, TheMetadataDescribeWhatIsAnswered) {
  serve_whole();
  const ModelDescription model = parse_model_metadata(get("/v2/models/cnn9").body);
  const json answer = json::parse(
      post(text_of(encode_jpeg(test::synth_image(1), 90)), {{"Content-Type", "image/jpeg"}}).body);
  ASSERT_EQ(answer.at("outputs").size(), model.outputs.size());
  for (std::size_t i = 0; i < model.outputs.size(); ++i) {
    EXPECT_EQ(answer.at("outputs").at(i).at("name"), model.outputs[i].name);
    EXPECT_EQ(answer.at("outputs").at(i).at("datatype"), model.outputs[i].datatype);
    EXPECT_EQ(answer.at("outputs").at(i).at("shape"), (json{1}));
  }
  EXPECT_EQ(get("/v2").status, 200);
  EXPECT_EQ(get("/v2/health/live").status, 200);
  EXPECT_EQ(get("/v2/health/ready").status, 200);
  EXPECT_EQ(get("/v2/models/cnn9/versions/1/ready").status, 200);
}

TEST_F(EdgeServiceTest, AStreamTellsEachRowAsSoonAsItIsDecided) {
  StalledCloud cloud;
  serve_edge(cloud.url());
  const std::vector<std::string> files{text_of(encode_jpeg(image_that_leaves(false), 100)),
                                       text_of(encode_jpeg(image_that_leaves(true), 100)),
                                       "no image"};
  InferRequest request;
  request.inputs.push_back(bytes_tensor("encoded_image", {3}, files));
  const WireMessage message = build_infer_request(request);
  const test::RawSocket socket = test::RawSocket::connect(server_->port());
  socket.send(fmt::format(
      "POST {} HTTP/1.1\r\nHost: edge\r\nAccept: text/html, "
      "application/x-ndjson;q=0.9\r\n{}: {}\r\nContent-Length: {}\r\n\r\n{}",
      kInfer, kInferenceHeader, *message.json_bytes, message.body.size(), message.body));
  const std::string early = socket.read_until("\"index\":1");
  EXPECT_THAT(early, HasSubstr("Content-Type: application/x-ndjson"));
  EXPECT_THAT(early, testing::Not(HasSubstr("\"index\":0"))) << "the cloud has not answered";
  cloud.release();
  const std::string rest = early + socket.read_until("\r\n0\r\n\r\n");
  std::istringstream lines(rest);
  std::map<int, json> rows;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("{")) continue;
    const json row = json::parse(line);
    rows[row.at("index")] = row;
  }
  ASSERT_EQ(rows.size(), 3U) << rest;
  EXPECT_EQ(rows[1].at("where"), "edge");
  EXPECT_EQ(rows[1].at("degraded"), false);
  EXPECT_EQ(rows[0].at("degraded"), true);
  EXPECT_THAT(rows[2].at("error").get<std::string>(), HasSubstr("row 2"));
}

TEST_F(EdgeServiceTest, AnswersByTheDeadlineOfTheClient) {
  StalledCloud cloud;
  serve_edge(cloud.url());
  const Image image = image_that_leaves(false);
  const auto start = std::chrono::steady_clock::now();
  const HttpResponse response = post_tensor(uint8_tensor("image", {1, 3, 32, 32}, image.pixels),
                                            {{"Branchy-Timeout-Ms", "300"}});
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(response.status, 200) << response.body;
  const json answer = json::parse(response.body);
  EXPECT_EQ(output(answer, "degraded").at("data"), (json{true}));
  EXPECT_THAT(output(answer, "reason").at("data").at(0).get<std::string>(),
              testing::AnyOf("timeout", "deadline"));  // whichever is seen first
  EXPECT_GE(took, 200ms) << "the cloud was given a chance";
  EXPECT_LT(took, 5s);
  for (const char* wrong : {"", "x", "-1", "1.5", "999999999999"})
    EXPECT_EQ(post_tensor(uint8_tensor("image", {1, 3, 32, 32}, image.pixels),
                          {{"Branchy-Timeout-Ms", wrong}})
                  .status,
              400)
        << wrong;
}

TEST_F(EdgeServiceTest, AFullPipelineIsA503AndNothingIsLost) {
  StalledCloud cloud;
  serve_edge(cloud.url());
  const Image image = image_that_leaves(false);
  std::atomic<int> answered{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&] {
      const HttpResponse response =
          post_tensor(uint8_tensor("image", {1, 3, 32, 32}, image.pixels));
      if (response.status == 200) ++answered;
      if (response.status == 503) {
        EXPECT_TRUE(find_header(response.headers, "Retry-After"));
        ++refused;
        cloud.release();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_GT(refused, 0);
  EXPECT_GT(answered, 0);
  EXPECT_EQ(answered + refused, 16);
  EXPECT_EQ(status().at("images"), answered.load());
}

TEST_F(EdgeServiceTest, RefusesWhatIsWrongBeforeItComputes) {
  intake_.max_rows = 2;
  intake_.max_megapixels = 1;
  serve_whole();
  const std::string jpeg = text_of(encode_jpeg(test::synth_image(1), 90));
  const HttpHeaders is_jpeg{{"Content-Type", "image/jpeg"}};
  const auto expect = [](const HttpResponse& response, int code, const std::string& text) {
    EXPECT_EQ(response.status, code) << response.body;
    EXPECT_THAT(json::parse(response.body).at("error").get<std::string>(), HasSubstr(text));
  };
  expect(post("", is_jpeg), 400, "empty");
  expect(post("\xFF\xD8 and no more", is_jpeg), 400, "row 0");
  expect(post(jpeg.substr(0, jpeg.size() / 2), is_jpeg), 400, "row 0");
  const Image large{.height = 1001, .width = 1001, .pixels = Pixels(3 * 1001 * 1001, 1)};
  expect(post(text_of(encode_jpeg(large, 50)), is_jpeg), 400, "1001x1001");
  expect(post("{", {}), 400, "JSON");
  expect(post_tensor(uint8_tensor("picture", {1}, Pixels(1))), 400, "picture");
  expect(post_tensor(uint8_tensor("image", {1, 3, 32, 31}, Pixels(3 * 32 * 31))), 400,
         "[-1,3,32,32]");
  expect(post_tensor(fp32_tensor("image", {1, 3, 1, 1}, std::vector<float>(3))), 400, "UINT8");
  expect(post_tensor(uint8_tensor("image", {3, 3, 32, 32}, Pixels(3 * 3072))), 400, "at most 2");
  expect(post_tensor(bytes_tensor("encoded_image", {2}, std::vector<std::string>{jpeg, ""})), 400,
         "row 1");
  expect(post_tensor(bytes_tensor("encoded_image", {2}, std::vector<std::string>{jpeg, "x"})), 400,
         "row 1");
  json unknown_output = {{"inputs",
                          {{{"name", "image"},
                            {"datatype", "UINT8"},
                            {"shape", {1, 3, 32, 32}},
                            {"data", Pixels(3072)}}}},
                         {"outputs", {{{"name", "logits"}}}}};
  expect(post(unknown_output.dump(), {}), 400, "logits");
  expect(post(jpeg, is_jpeg, "/v2/models/other/infer"), 404, "other");
  expect(post(jpeg, is_jpeg, "/v2/models/cnn9/versions/2/infer"), 404, "version 1");
  expect(post(jpeg, is_jpeg, "/v2/models/cnn9"), 405, "GET");
  expect(post(jpeg, is_jpeg, "/"), 405, "GET");
  expect(get(kInfer), 405, "POST");
  expect(get("/v2/edge"), 404, "path");
  expect(get("/v2/edge/status?since=-1"), 400, "since");
  EXPECT_EQ(status().at("images"), 0);
}

TEST_F(EdgeServiceTest, FiguresCountEveryImage) {
  StalledCloud cloud;
  cloud.release();  // hangs up: the cloud is away
  serve_edge(cloud.url());
  const Image near = image_that_leaves(true);
  const Image far = image_that_leaves(false);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(post_tensor(uint8_tensor("image", {1, 3, 32, 32}, near.pixels)).status, 200);
  EXPECT_EQ(post_tensor(uint8_tensor("image", {1, 3, 32, 32}, far.pixels)).status, 200);
  EdgeResult other;  // of a watched directory
  other.file = "garden/one.jpg";
  other.class_name = "disc";
  other.outcome = expected(near);
  service_->count(other, nullptr);

  const json state = status();
  EXPECT_EQ(state.at("images"), 5);
  EXPECT_EQ(state.at("degraded"), 1);
  EXPECT_EQ(state.at("last_images").size(), 4U);
  const HttpResponse metrics = get("/metrics");
  EXPECT_EQ(find_header(metrics.headers, "Content-Type"),
            "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(test::format_error(metrics.body), "");
  const auto value = [&](const std::string& sample) {
    return test::metric_value(metrics.body, sample);
  };
  EXPECT_EQ(value("branchy_exits_total{exit=\"1\"}") + value("branchy_exits_total{exit=\"2\"}"), 5);
  EXPECT_EQ(value("branchy_exits_total{exit=\"3\"}"), 0);
  EXPECT_EQ(value("branchy_degraded_total"), 1);
  EXPECT_EQ(value("branchy_requests_total{status=\"200\"}"), 4);
  EXPECT_EQ(value("branchy_stage_duration_seconds_count{stage=\"total\"}"), 5);
  EXPECT_EQ(value("branchy_stage_duration_seconds_count{stage=\"round_trip\"}"), 1);
  EXPECT_THAT(metrics.body, HasSubstr("branchy_cloud_fallback_total{reason="));
  EXPECT_THAT(metrics.body, HasSubstr("branchy_build_info{version="));
}

TEST_F(EdgeServiceTest, ATokenOpensEverythingButHealthAndThePage) {
  server_options_.tokens = {"let-me-in"};
  serve_whole();
  EXPECT_EQ(get("/v2/health/ready").status, 200);
  EXPECT_EQ(get("/").status, 200);
  for (const char* path : {"/v2", "/metrics", "/v2/edge/status", "/v2/models/cnn9"})
    EXPECT_EQ(get(path).status, 401) << path;
  const std::string jpeg = text_of(encode_jpeg(test::synth_image(1), 90));
  EXPECT_EQ(post(jpeg, {{"Content-Type", "image/jpeg"}}).status, 401);
  const HttpHeaders allowed{{"Authorization", "Bearer let-me-in"}};
  const HttpResponse state = ask({.target = "/v2/edge/status", .headers = allowed});
  ASSERT_EQ(state.status, 200);
  EXPECT_EQ(json::parse(state.body).at("images"), 0) << "nothing was computed without the token";
}

TEST_F(EdgeServiceTest, NoAnswerReachesAnotherClient) {
  serve_whole(2);
  constexpr int kClients = 4;
  constexpr int kRequests = 15;
  std::vector<EdgeOutcome> outcomes;
  for (int i = 0; i < kClients * kRequests; ++i)
    outcomes.push_back(expected(test::synth_image(static_cast<std::uint64_t>(i))));
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      for (int i = client * kRequests; i < (client + 1) * kRequests; ++i) {
        const Image image = test::synth_image(static_cast<std::uint64_t>(i));
        HttpResponse response;
        do {
          response = post_tensor(uint8_tensor("image", {1, 3, 32, 32}, image.pixels));
        } while (response.status == 503);
        ASSERT_EQ(response.status, 200) << response.body;
        expect_answer(json::parse(response.body), 0, outcomes[static_cast<std::size_t>(i)]);
      }
    });
  }
  for (std::thread& client : clients) client.join();
}

}  // namespace
}  // namespace branchy
