// Every policy on a split network over a real socket decides as on the whole one: temperatures,
// fallback, predictor and codec, with the cut at the last early exit and before it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/threads.h"
#include "infer/cloud_service.h"
#include "infer/codec_record.h"
#include "infer/edge_pipeline.h"
#include "infer/exit_costs.h"
#include "infer/feature_coder.h"
#include "infer/pixel_input.h"
#include "infer/plan_backend.h"
#include "infer/policies/policy_record.h"
#include "infer/policies/policy_text.h"
#include "infer/policy_choice.h"
#include "infer/policy_runner.h"
#include "infer/request_check.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using Pixels = std::vector<std::uint8_t>;

constexpr int kNumImages = 10;
const std::vector<float> kTemperatures = {1.5F, 0.7F, 40.0F};

/// What branchy-edge and branchy-cloud make of two exported files, in one process.
class SplitPolicyTest : public testing::Test {
 protected:
  SplitPolicyTest() : network_(test::lived_in_network(2)) {
    set_num_threads(1);  // edge and cloud share this process
    // Smaller scores, so that thresholds between the confidences exist.
    for (StateEntry& entry : network_->state()) {
      if (entry.variable->shape().rank() != 2) continue;
      for (float& value : entry.variable->mutable_value().mutable_data()) value *= 0.05F;
    }
    info_.config = network_->config();
    info_.mean = {0.5F, 0.4F, 0.3F};
    info_.std = {0.25F, 0.3F, 0.2F};
    info_.temperatures = kTemperatures;
    Rng rng(3);
    for (int i = 0; i < kNumImages; ++i) {
      Pixels image(3 * 32 * 32);
      for (std::uint8_t& pixel : image) pixel = static_cast<std::uint8_t>(rng.below(256));
      images_.push_back(std::move(image));
    }
    attachments_.emplace(kPredictorAttachment,
                         whole_attachment(test::lived_in_network(
                             {.name = "exit_predictor", .classes = 2, .early_exits = 0})));
  }

  void attach_codec(LosslessStage lossless) {
    attachments_.insert_or_assign(
        std::string(kCodecAttachment),
        whole_attachment(test::lived_in_network(
            {.name = "feature_codec",
             .classes = 2,
             .early_exits = 0,
             .options = {{"channels", "32"}, {"size", "16"}, {"code", "4"}}})));
    write_record({.cut = cut_name(2),
                  .bits = 8,
                  .scale = 3.0F,
                  .lossless = lossless,
                  .frequencies = {},
                  .device_digest = std::string(64, 'a'),
                  .feature_min = 0.0F,
                  .feature_max = 4.0F},
                 info_);
  }
  std::string cut_name(std::int64_t exit) const {
    return network_->blocks()[static_cast<std::size_t>(network_->exit(exit).after_block - 1)].name;
  }
  ServedModel served(const NetworkPart& part, const std::string& cut,
                     const Attachments& attachments) {
    ModelInfo info = info_;
    info.part = part;
    info.cut = cut;
    const auto path = directory_ / "model.safetensors";
    save_model(path, *network_, info, attachments);
    return load_served_model(path);
  }
  ServedModel edge_model(std::int64_t exit) {
    Attachments attachments = attachments_;
    const auto codec = attachments.find(std::string(kCodecAttachment));
    if (codec != attachments.end()) codec->second.part = encoder_part();
    return served({0, network_->exit(exit).after_block, 1, exit}, cut_name(exit), attachments);
  }
  ServedModel full_edge_model(std::int64_t exit) {
    return served(network_->whole(), cut_name(exit), attachments_);
  }
  ServedModel cloud_model(std::int64_t exit) {
    Attachments attachments;
    const auto codec = attachments_.find(std::string(kCodecAttachment));
    if (codec != attachments_.end())
      attachments.emplace(codec->first, Attachment{codec->second.network, decoder_part()});
    return served({network_->exit(exit).after_block, std::ssize(network_->blocks()), exit + 1, 3},
                  cut_name(exit), attachments);
  }
  void serve(std::int64_t cut_exit) {
    backend_ = std::make_shared<PlanBackend>(cloud_model(cut_exit), 4);
    backend_->warm_up();
    service_ = std::make_unique<CloudService>(
        CloudServiceOptions{.batching = {.on_worker_start = [] { set_num_threads(1); }}});
    service_->set_backend(backend_);
    server_ = std::make_unique<HttpServer>(HttpServerOptions{}, service_->quick_handler(),
                                           service_->handler());
    server_->start();
  }
  std::unique_ptr<EdgePipeline> edge(std::int64_t cut_exit, const std::string& policy,
                                     bool use_codec = true) {
    ServedModel model = edge_model(cut_exit);
    CloudLinkOptions options;
    options.client.url = {.host = "127.0.0.1", .port = server_->port()};
    options.client.model = cloud_model_for(model);
    options.client.timeout = std::chrono::seconds(10);
    auto cloud = std::make_unique<CloudLink>(
        std::move(options), [](const std::string& text) { ADD_FAILURE() << text; });
    return std::make_unique<EdgePipeline>(
        std::move(model), std::move(cloud),
        EdgePipelineOptions{.engine = {.policy = parse_policy(policy, 3), .use_codec = use_codec}});
  }
  Tensor normalized(const Pixels& pixels) const {
    return normalize_pixels(pixels, network_->input_shape(), info_);
  }
  /// What the whole network does under the policy, in one process.
  std::vector<SampleOutcome> whole(const std::string& policy) {
    PolicyRunnerOptions options{.costs = exit_costs(*network_),
                                .temperatures = kTemperatures,
                                .scores = std::make_unique<ExitScores>(
                                    attachments_.at(std::string(kPredictorAttachment)), info_)};
    PolicyRunner runner(Plan::lower(*network_, network_->whole()), std::move(options));
    std::vector<SampleOutcome> outcomes;
    for (const Pixels& image : images_)
      outcomes.push_back(runner.run(normalized(image), *parse_policy(policy, 3)).front());
    return outcomes;
  }
  /// Predictions of all exits after their temperatures: [image][exit].
  std::vector<std::vector<Prediction>> predictions() {
    ExitRunner runner(Plan::lower(*network_, network_->whole()));
    std::vector<std::vector<Prediction>> all;
    for (const Pixels& image : images_) {
      runner.start(normalized(image));
      auto& exits = all.emplace_back();
      while (runner.has_next()) {
        const ExitOutput output = runner.next_exit();
        exits.push_back(predict(output.exit, output.logits.data(),
                                kTemperatures[static_cast<std::size_t>(output.exit - 1)]));
      }
    }
    return all;
  }
  /// The middle confidence of an exit.
  float median(std::size_t exit) {
    std::vector<float> values;
    for (const auto& exits : predictions()) values.push_back(exits[exit].confidence);
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }
  /// The middle score that the predictor gives exit 1.
  float median_score() {
    ExitScores scores(attachments_.at(std::string(kPredictorAttachment)), info_);
    std::vector<float> values;
    for (const Pixels& image : images_)
      values.push_back(scores.scores(normalized(image)).data()[0]);
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }

  void expect_like_whole(std::int64_t cut_exit, const std::string& policy) {
    SCOPED_TRACE(policy + ", cut at exit " + std::to_string(cut_exit));
    const std::vector<SampleOutcome> expected = whole(policy);
    const auto edge = this->edge(cut_exit, policy, false);
    for (std::size_t i = 0; i < images_.size(); ++i) {
      const EdgeOutcome outcome = edge->classify({.pixels = images_[i]});
      EXPECT_EQ(outcome.last_exit, expected[i].exit);
      EXPECT_EQ(outcome.prediction.exit, expected[i].answer.exit);
      EXPECT_EQ(outcome.prediction.label, expected[i].answer.label);
      EXPECT_EQ(outcome.prediction.confidence, expected[i].answer.confidence);
      EXPECT_EQ(outcome.dropped, expected[i].dropped);
      EXPECT_EQ(outcome.from_cloud, expected[i].exit > cut_exit);
      EXPECT_FALSE(outcome.degraded);
    }
    expect_like_whole_alone(cut_exit, policy, expected);
  }
  /// An edge file that holds the rest too, and nobody to ask.
  void expect_like_whole_alone(std::int64_t cut_exit, const std::string& policy,
                               const std::vector<SampleOutcome>& expected) {
    EdgePipeline alone(full_edge_model(cut_exit), nullptr,
                       {.engine = {.policy = parse_policy(policy, 3), .use_codec = false}});
    for (std::size_t i = 0; i < images_.size(); ++i) {
      const EdgeOutcome outcome = alone.classify({.pixels = images_[i]});
      EXPECT_EQ(outcome.last_exit, expected[i].exit);
      EXPECT_EQ(outcome.prediction.exit, expected[i].answer.exit);
      EXPECT_EQ(outcome.prediction.label, expected[i].answer.label);
      EXPECT_EQ(outcome.prediction.confidence, expected[i].answer.confidence);
      EXPECT_EQ(outcome.dropped, expected[i].dropped);
      EXPECT_FALSE(outcome.from_cloud || outcome.degraded);
    }
  }

  test::TemporaryDirectory directory_;
  std::unique_ptr<MultiExitNetwork> network_;
  ModelInfo info_;
  Attachments attachments_;
  std::vector<Pixels> images_;
  std::shared_ptr<PlanBackend> backend_;
  std::unique_ptr<CloudService> service_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(SplitPolicyTest, WithAllEarlyExitsHereTheEdgeDecidesToTheEnd) {
  serve(2);
  const std::string list = fmt::format("{}+{}", median(0), median(1));
  const std::string gamma = fmt::format("{}+0", median_score());
  for (const std::string& policy :
       {"max-probability:" + list, fmt::format("p-tar:{}", median(2)), "entropy:" + list,
        std::string("entropy:0.2,drop=0.9"), std::string("margin:0.05"), std::string("patience:2"),
        fmt::format("ensemble:{}", median(1)), std::string("fixed:2"), std::string("fixed:3"),
        "predictor:" + list + ",gamma=" + gamma})
    expect_like_whole(2, policy);
}

TEST_F(SplitPolicyTest, WithExitsBehindTheCutTheCloudGoesOnFromWhatTheEdgeSaw) {
  serve(1);
  const std::string list = fmt::format("{}+{}", median(0), median(1));
  const std::string gamma = fmt::format("{}+{}", median_score(), median_score());
  for (const std::string& policy :
       {"max-probability:" + list, fmt::format("p-tar:{}", median(2)),
        fmt::format("p-tar:{},active=2", median(2)), "entropy:" + list,
        std::string("entropy:0.2,drop=0.9"), std::string("margin:0.05"), std::string("patience:2"),
        std::string("fixed:2"), "predictor:" + list + ",gamma=" + gamma})
    expect_like_whole(1, policy);
  EXPECT_THROW((void)edge(1, "ensemble:0.9"), ConfigError) << "logits do not travel";
}

// The rule of Pacheco et al. by hand: not sure enough anywhere, then the most confident of all.
TEST_F(SplitPolicyTest, TheFallbackIsTheMostConfidentOfEdgeAndCloud) {
  const auto all = predictions();
  for (const std::int64_t cut_exit : {1, 2}) {
    serve(cut_exit);
    const auto edge = this->edge(cut_exit, "p-tar:1", false);
    int num_fallback = 0;
    for (std::size_t i = 0; i < images_.size(); ++i) {
      const EdgeOutcome outcome = edge->classify({.pixels = images_[i]});
      const Prediction* best = all[i].data();
      for (const Prediction& one : all[i])
        if (one.confidence > best->confidence) best = &one;
      EXPECT_EQ(outcome.prediction.exit, best->exit);
      EXPECT_EQ(outcome.prediction.label, best->label);
      EXPECT_EQ(outcome.prediction.confidence, best->confidence);
      EXPECT_EQ(outcome.last_exit, 3);
      if (best->exit < 3) ++num_fallback;
    }
    EXPECT_GT(num_fallback, 0);
    EXPECT_LT(num_fallback, kNumImages);
  }
}

TEST_F(SplitPolicyTest, CodesTravelInsteadOfFeaturesAndLeaveEarlyExitsAsTheyWere) {
  const std::string policy = fmt::format("max-probability:{}+{}", median(0), median(1));
  for (const LosslessStage lossless : {LosslessStage::kNone, LosslessStage::kZstd}) {
    attach_codec(lossless);
    serve(2);
    ModelInfo info = info_;
    info.cut = cut_name(2);
    FeatureCoder coder(attachments_.at(std::string(kCodecAttachment)), info);
    ExitRunner reference(Plan::lower(*network_, network_->whole()));
    const auto coded = edge(2, policy), plain = edge(2, policy, false);
    EdgePipeline alone(full_edge_model(2), nullptr,
                       {.engine = {.policy = parse_policy(policy, 3)}});
    int num_sent = 0;
    for (const Pixels& image : images_) {
      const EdgeOutcome with = coded->classify({.pixels = image});
      const EdgeOutcome without = plain->classify({.pixels = image});
      const EdgeOutcome here = alone.classify({.pixels = image});
      EXPECT_EQ(here.prediction, with.prediction) << "the rest here goes through the codec too";
      ASSERT_EQ(with.last_exit, without.last_exit);
      if (!with.from_cloud) {
        EXPECT_EQ(with.prediction.confidence, without.prediction.confidence);
        EXPECT_EQ(with.prediction.label, without.prediction.label);
        continue;
      }
      ++num_sent;
      EXPECT_LT(with.bytes_sent, without.bytes_sent / 8);
      reference.start(normalized(image));
      const std::int64_t cut = network_->exit(2).after_block;
      const Tensor decoded = coder.decode(coder.encode(reference.value_after(cut)));
      reference.start_after(cut, decoded);
      const Prediction expected = predict(3, reference.run_to(3).logits.data(), kTemperatures[2]);
      EXPECT_EQ(with.prediction.label, expected.label);
      EXPECT_EQ(with.prediction.confidence, expected.confidence);
    }
    EXPECT_GT(num_sent, 0);
    EXPECT_LT(num_sent, kNumImages);
  }
}

TEST_F(SplitPolicyTest, ACodecOfAnotherCutIsRefused) {
  attach_codec(LosslessStage::kNone);
  EXPECT_THROW((void)edge_model(1), ConfigError);
  EXPECT_THROW((void)cloud_model(1), ConfigError);
}

TEST_F(SplitPolicyTest, PoliciesThatCannotBeRunAreRefused) {
  serve(2);
  EXPECT_THROW((void)edge(2, "oracle:0.9"), ConfigError);
  attachments_.clear();
  EXPECT_THROW((void)edge(2, "predictor:0.9,gamma=0.5"), ConfigError);
}

TEST_F(SplitPolicyTest, TheModelsOwnPolicyServesWhereNoneIsAskedFor) {
  EXPECT_EQ(choose_policy({.policy = "patience:2"}, info_)->text(), "patience:2");
  EXPECT_EQ(choose_policy({.thresholds = "0.8,0.9"}, info_)->text(), "max-probability:0.8+0.9");
  EXPECT_THROW((void)choose_policy({}, info_), ConfigError);
  write_policy_record(info_, {.text = "p-tar:0.9",
                              .choice = "budget",
                              .select_on = "val",
                              .data_checksum = "c",
                              .cache_digest = "d",
                              .subset = "1/1",
                              .temperatures = kTemperatures});
  std::string warning;
  const auto warn = [&](const std::string& text) { warning = text; };
  EXPECT_EQ(choose_policy({}, info_, warn)->text(), "p-tar:0.9");
  EXPECT_EQ(warning, "");
  info_.temperatures = {1, 1, 1};
  EXPECT_EQ(choose_policy({}, info_, warn)->text(), "p-tar:0.9");
  EXPECT_THAT(warning, testing::HasSubstr("calibrated anew"));
}

TEST_F(SplitPolicyTest, APredictorIsRefusedForThresholdsThatItDoesNotKnow) {
  info_.records["predictor.thresholds"] = "0.9,0.8";
  EXPECT_NO_THROW((void)choose_policy({.policy = "predictor:0.9+0.8,gamma=0.5"}, info_));
  EXPECT_THROW((void)choose_policy({.policy = "predictor:0.9,gamma=0.5"}, info_), ConfigError);
}

TEST_F(SplitPolicyTest, BadCodesPoliciesAndSideInputsAre400) {
  attach_codec(LosslessStage::kZstd);
  serve(2);
  const auto refused = [](PlanBackend& backend, const InferRequest& request, const char* why) {
    try {
      check_inputs(request, backend.describe());
      (void)backend.infer(request);
    } catch (const HttpError& error) {
      EXPECT_EQ(error.status(), 400) << error.what();
      EXPECT_THAT(error.what(), testing::HasSubstr(why));
      return;
    }
    ADD_FAILURE() << "was accepted, expected " << why;
  };
  const auto code = [&](std::size_t bytes, std::uint8_t fill) {
    InferRequest request;
    request.inputs.push_back(uint8_tensor(
        code_input_name(cut_name(2)), {1, static_cast<std::int64_t>(bytes)}, Pixels(bytes, fill)));
    return request;
  };
  refused(*backend_, code(1 << 20, 1), "no code has more than 256");
  refused(*backend_, code(5, 0xFF), code_input_name(cut_name(2)).c_str());
  InferRequest none = code(1, 0);
  none.inputs[0].shape = {1, 0};
  none.inputs[0].bytes.clear();
  refused(*backend_, none, "came as");

  attachments_.erase(std::string(kCodecAttachment));
  serve(1);
  InferRequest good;
  good.inputs.push_back(fp32_tensor(feature_input_name(cut_name(1)), {1, 16, 32, 32},
                                    std::vector<float>(16 * 32 * 32, 0.5F)));
  good.parameters["policy"] = std::string("p-tar:0.9");
  EXPECT_EQ(backend_->infer(good).outputs.size(), 5U);
  const auto with = [&](const std::string& policy, std::vector<WireTensor> more) {
    InferRequest request = good;
    request.parameters["policy"] = policy;
    for (WireTensor& tensor : more) request.inputs.push_back(std::move(tensor));
    return request;
  };
  const auto classes = [](std::int32_t label) {
    return int32_tensor("edge_class", {1, 1}, std::vector<std::int32_t>{label});
  };
  const auto sure = [](float confidence) {
    return fp32_tensor("edge_confidence", {1, 1}, std::vector<float>{confidence});
  };
  check_inputs(with("p-tar:0.9", {classes(3), sure(0.5F)}), backend_->describe());
  refused(*backend_, with("telepathy:1", {}), "telepathy");
  refused(*backend_, with("p-tar:7", {}), "p-tar");
  refused(*backend_, with("oracle:0.9", {}), "looks ahead");
  refused(*backend_, with("predictor:0.9,gamma=0.5", {}), "edge_score");
  refused(*backend_, with("ensemble:0.9", {classes(3), sure(0.5F)}), "logits");
  refused(*backend_, with("p-tar:0.9", {classes(3)}), "send both");
  refused(*backend_, with("p-tar:0.9", {classes(10), sure(0.5F)}), "-1..9");
  refused(*backend_, with("p-tar:0.9", {classes(3), sure(1.5F)}), "0..1");
  refused(*backend_,
          with("p-tar:0.9",
               {int32_tensor("edge_class", {2, 1}, std::vector<std::int32_t>{1, 1}), sure(0.5F)}),
          "rows");
  InferRequest both = with("p-tar:0.9", {});
  both.parameters["thresholds"] = std::string("0.5");
  refused(*backend_, both, "one of them");
  InferRequest nothing;
  nothing.inputs = {classes(3), sure(0.5F)};
  refused(*backend_, nothing, "none of the model's inputs");
}

/// What each request gets in a batch: the bits that it gets alone, or the same refusal.
void expect_same_in_a_batch(PlanBackend& backend, const std::vector<InferRequest>& requests) {
  std::vector<const InferRequest*> batch;
  for (const InferRequest& request : requests) {
    batch.push_back(&request);
    EXPECT_EQ(backend.batch_key(request), backend.batch_key(requests.front()));
  }
  const std::vector<InferResult> results = backend.infer_batch(batch);
  ASSERT_EQ(results.size(), requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    const auto* answer = std::get_if<InferResponse>(&results[i]);
    try {
      const InferResponse alone = backend.infer(requests[i]);
      ASSERT_NE(answer, nullptr) << "failed in the batch only";
      for (std::size_t k = 0; k < alone.outputs.size(); ++k) {
        EXPECT_EQ(answer->outputs.at(k).shape, alone.outputs[k].shape);
        EXPECT_EQ(answer->outputs.at(k).bytes, alone.outputs[k].bytes) << alone.outputs[k].name;
      }
    } catch (const std::exception& error) {
      ASSERT_EQ(answer, nullptr) << "failed alone only: " << error.what();
      EXPECT_THROW(std::rethrow_exception(std::get<std::exception_ptr>(results[i])),
                   std::exception);
    }
  }
}

TEST_F(SplitPolicyTest, RequestsInABatchGetWhatTheyGetAlone) {
  PlanBackend backend(served(network_->whole(), "", {}), 64);
  std::vector<InferRequest> requests;
  std::set<std::int32_t> exits;
  for (std::size_t i = 0; i < images_.size(); ++i) {
    Pixels pixels = images_[i];
    const std::int64_t rows = i == 3 ? 2 : 1;
    if (rows == 2) pixels.insert(pixels.end(), images_[0].begin(), images_[0].end());
    InferRequest request;
    request.inputs.push_back(uint8_tensor("image", {rows, 3, 32, 32}, pixels));
    request.parameters["policy"] = fmt::format("max-probability:{}+{}", median(0), median(1));
    for (const std::int32_t exit : int32_values(backend.infer(request).outputs.at(1)))
      exits.insert(exit);
    requests.push_back(std::move(request));
  }
  EXPECT_EQ(exits.size(), 3U) << "rows must leave at all exits, so that survivors are gathered";
  expect_same_in_a_batch(backend, requests);
  requests.front().parameters["policy"] = std::string("fixed:3");
  EXPECT_NE(backend.batch_key(requests[0]), backend.batch_key(requests[1]));
  requests.front().parameters["policy"] = std::string("telepathy:1");
  EXPECT_THROW((void)backend.batch_key(requests[0]), HttpError);
}

TEST_F(SplitPolicyTest, CodesOfAnyLengthShareABatchAndABadOneFailsAlone) {
  attach_codec(LosslessStage::kZstd);
  serve(2);
  const ServedModel edge = edge_model(2);
  ExitRunner runner(edge.plan);
  FeatureCoder coder(*edge.attachment(kCodecAttachment), edge.info);
  std::vector<InferRequest> requests;
  const auto add = [&](const std::vector<std::byte>& code) {
    InferRequest request;
    request.inputs.push_back({code_input_name(cut_name(2)), "UINT8", {1, std::ssize(code)}, code});
    requests.push_back(std::move(request));
  };
  std::set<std::size_t> lengths;
  for (const std::size_t image : {0, 1, 2}) {
    runner.start(normalized(images_[image]));
    add(coder.encode(runner.feature()));
    lengths.insert(requests.back().inputs[0].bytes.size());
  }
  runner.start(Tensor::zeros(network_->input_shape()));
  add(coder.encode(runner.feature()));
  lengths.insert(requests.back().inputs[0].bytes.size());
  EXPECT_GT(lengths.size(), 1U);
  requests[1].inputs[0].bytes.assign(5, std::byte{0xFF});
  requests[1].inputs[0].shape = {1, 5};
  expect_same_in_a_batch(*backend_, requests);
}

TEST_F(SplitPolicyTest, AnOverflowFailsItsRequestAlone) {
  serve(1);
  const auto with_value = [&](float value) {
    InferRequest request;
    request.inputs.push_back(fp32_tensor(feature_input_name(cut_name(1)), {1, 16, 32, 32},
                                         std::vector<float>(16 * 32 * 32, value)));
    return request;
  };
  const auto overflows = [&](float value) {
    try {
      (void)backend_->infer(with_value(value));
      return false;
    } catch (const NumericError&) {
      return true;
    }
  };
  // Large enough for the last layer to overflow and small enough for those before it.
  float value = 1e30F;
  while (value < 1e38F && !overflows(value)) value *= 1.5F;
  ASSERT_LT(value, 1e38F);
  expect_same_in_a_batch(*backend_, {with_value(0.5F), with_value(value), with_value(-0.25F)});
}

TEST_F(SplitPolicyTest, WhatTheCloudCannotAnswerIsDegradedToAnExitThatWasNotComputed) {
  ServedModel model = edge_model(2);
  const auto all = predictions();
  EdgePipeline edge(std::move(model), nullptr, {.engine = {.policy = parse_policy("fixed:3", 3)}});
  const EdgeOutcome outcome = edge.classify({.pixels = images_[0]});
  EXPECT_EQ(outcome.reason, "no-cloud");
  EXPECT_TRUE(outcome.degraded);
  EXPECT_EQ(outcome.last_exit, 2);
  EXPECT_EQ(outcome.prediction.exit, all[0][1].confidence > all[0][0].confidence ? 2 : 1);
}

}  // namespace
}  // namespace branchy
