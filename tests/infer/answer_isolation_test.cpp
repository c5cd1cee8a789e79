// No answer of one client reaches another: many clients with different inputs, dynamic batches.
#include <gtest/gtest.h>

#include <memory>

#include "core/threads.h"
#include "data/dataset.h"
#include "data/synth.h"
#include "experiments/load_generator.h"
#include "infer/cloud_service.h"
#include "infer/http_server.h"
#include "infer/plan_backend.h"
#include "tests/support/small_model.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

class AnswerIsolation : public testing::Test {
 protected:
  void SetUp() override {
    set_num_threads(1);
    const LoadedModel model = test::small_model(false);
    const std::int64_t cut = model.network->exit(2).after_block;
    const auto save_part = [&](const std::string& name, const NetworkPart& part) {
      ModelInfo info = model.info;
      info.part = part;
      info.cut = model.network->blocks()[static_cast<std::size_t>(cut - 1)].name;
      save_model(directory_ / name, *model.network, info);
    };
    save_part("edge", {0, cut, 1, 2});
    save_part("cloud", {0, model.network->whole().end_block, 3, 3});
    write_synth_dataset(directory_ / "data", {.num_train = 50, .num_test = 100, .seed = 3});
    recorded_ = record_features(
        load_served_model(directory_ / "edge"), load_served_model(directory_ / "cloud"),
        *open_dataset("cifar10:" + (directory_ / "data").string(), DatasetSplit::kTest), 100);
  }

  test::TemporaryDirectory directory_;
  RecordedFeatures recorded_;
};

TEST_F(AnswerIsolation, HoldsForManyClientsAndDynamicBatches) {
  const auto service = std::make_unique<CloudService>(
      CloudServiceOptions{.batching = {.workers = 2,
                                       .queue_limit = 1000,
                                       .max_rows = 16,
                                       .wait = std::chrono::microseconds(500),
                                       .on_worker_start = [] { set_num_threads(1); }}});
  service->set_backend(std::make_shared<PlanBackend>(load_served_model(directory_ / "cloud"), 16));
  HttpServer server({.queue_limit = 1000}, service->quick_handler(), service->handler());
  server.start();
  // One row a request, and three: both meet in a batch.
  LoadOptions options{
      .url = {.host = "127.0.0.1", .port = server.port()}, .connections = 24, .limit = 600};
  LoadGenerator ones(recorded_, options);
  options.rows = 3;
  options.limit = 300;
  LoadGenerator threes(recorded_, options);
  for (LoadGenerator* load : {&ones, &threes}) {
    const LoadReport report = load->finish();
    EXPECT_EQ(report.wrong, 0) << report.first_wrong;
    EXPECT_EQ(report.lost, 0);
    EXPECT_TRUE(report.errors.empty()) << report.errors.begin()->first;
    EXPECT_EQ(report.right, report.sent);
  }
  service->stop();
  server.stop(std::chrono::seconds(5));
}

// The check itself: an answer to another input is never taken for right.
TEST_F(AnswerIsolation, AnothersAnswerIsSeen) {
  PlanBackend backend(load_served_model(directory_ / "cloud"), 16);
  const std::string text =
      feature_request(recorded_, {.host = "127.0.0.1", .port = 80}, 5, 1, {}, "7");
  const std::size_t body = text.find("\r\n\r\n") + 4;
  const std::string length =
      text.substr(text.find(std::string(kInferenceHeader)) + kInferenceHeader.size() + 2);
  InferRequest request = parse_infer_request(std::string_view(text).substr(body),
                                             length.substr(0, length.find('\r')), {});
  InferResponse answer = backend.infer(request);
  answer.id = "7";
  const WireMessage wire = build_infer_response(answer, request);
  const std::string json_bytes = std::to_string(wire.json_bytes.value_or(0));
  const auto wrong = [&](std::int64_t row, const char* id) {
    return wrong_with(recorded_, row, 1, id, 1e-3, wire.body, json_bytes);
  };
  EXPECT_EQ(wrong(5, "7"), "");
  EXPECT_NE(wrong(5, "8"), "") << "another request's";
  for (std::int64_t row = 0; row < recorded_.size(); ++row) {
    if (row == 5) continue;
    EXPECT_NE(wrong(row, "7"), "") << "the answer to row 5 passes for row " << row;
  }
}

}  // namespace
}  // namespace branchy
