// `branchy export` as a user runs it, on a model that carries everything.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "infer/codec_record.h"
#include "infer/device_digest.h"
#include "infer/exit_scores.h"
#include "infer/feature_coder.h"
#include "infer/model.h"
#include "infer/policies/policy_record.h"
#include "layers/models/registry.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"
#include "train/checkpoint.h"
#include "train/predictor_record.h"

namespace branchy {
namespace {

using test::expect_one_line;
using test::Outcome;

/// CNN-9 with exits behind blocks 2 and 4, temperatures, policy, predictor and codec. Weights are
/// random, which nothing here looks at.
class ExportCommandTest : public ::testing::Test {
 protected:
  ExportCommandTest() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    Rng rng(4);
    LoadedModel model;
    model.info.config = {
        .name = "cnn9", .classes = 10, .early_exits = 2, .options = {{"exit-after", "2,4"}}};
    model.network = make_network(model.info.config, rng);
    model.info.config = model.network->config();
    model.info.part = model.network->whole();
    model.info.mean = model.info.std = {0.5F, 0.5F, 0.5F};
    model.info.temperatures = {1.5F, 1.25F, 2.0F};
    write_policy_record(model.info, {.text = "p-tar:0.8",
                                     .choice = "budget",
                                     .select_on = "val",
                                     .data_checksum = "c",
                                     .cache_digest = "d",
                                     .subset = "1/1",
                                     .temperatures = model.info.temperatures});
    attach_predictor(model,
                     make_network({.name = "exit_predictor", .classes = 2, .early_exits = 0}, rng),
                     {.kind = "ours",
                      .thresholds = {0.9F, 0.9F},
                      .temperatures = {1.5F, 1.25F},
                      .selection = {},
                      .training = {},
                      .device_digest = device_digest(model),
                      .gamma = {},
                      .selected_on = {}});
    attach_codec(model, rng);
    save_model(folder_ / "model.safetensors", *model.network, model.info, model.attachments);
  }

  static void attach_codec(LoadedModel& model, Rng& rng) {
    const std::int64_t cut = model.network->exit(2).after_block;
    const Shape feature = model.network->feature_shape(cut);
    model.attachments.emplace(
        kCodecAttachment,
        whole_attachment(make_network({.name = "feature_codec",
                                       .classes = 2,
                                       .early_exits = 0,
                                       .options = {{"channels", std::to_string(feature[1])},
                                                   {"size", std::to_string(feature[2])},
                                                   {"code", "4"}}},
                                      rng)));
    write_record({.cut = model.network->blocks()[static_cast<std::size_t>(cut - 1)].name,
                  .bits = 8,
                  .scale = 2.0F,
                  .lossless = LosslessStage::kNone,
                  .frequencies = {},
                  .device_digest = part_digest(
                      *model.network, model.info,
                      {.first_block = 0, .end_block = cut, .first_exit = 1, .last_exit = 2}),
                  .feature_min = 0.0F,
                  .feature_max = 2.0F},
                 model.info);
  }

  Outcome run_export(const std::string& out, std::vector<std::string> flags = {}) {
    std::vector<std::string> command{BRANCHY, "export", (folder_ / "model.safetensors").string(),
                                     "--out", (folder_ / out).string()};
    command.insert(command.end(), flags.begin(), flags.end());
    return test::run_program(std::move(command), folder_ / "log");
  }

  test::TemporaryDirectory folder_;
};

TEST_F(ExportCommandTest, AFullEdgeHoldsTheNetworkAndKnowsTheCut) {
  const Outcome outcome = run_export("split", {"--full-edge"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const ServedModel whole = load_served_model(folder_ / "model.safetensors");
  const ServedModel edge = load_served_model(folder_ / "split" / "edge.safetensors");
  const ServedModel cloud = load_served_model(folder_ / "split" / "cloud.safetensors");
  EXPECT_EQ(edge.info.part, whole.info.part);
  EXPECT_EQ(edge.info.cut, cloud.info.cut);
  EXPECT_EQ(edge.num_edge_exits(), 2);
  FeatureCoder coder(*edge.attachment(kCodecAttachment), edge.info);
  EXPECT_TRUE(coder.can_encode() && coder.can_decode());
  expect_one_line(run_export("split", {"--full-edge", "--whole"}), 2, {"--whole"});
}

TEST_F(ExportCommandTest, EachSideCarriesWhatItNeeds) {
  const Outcome outcome = run_export("split");
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("temperatures, encoder, predictor"), std::string::npos) << outcome.out;
  const ServedModel edge = load_served_model(folder_ / "split" / "edge.safetensors");
  const ServedModel cloud = load_served_model(folder_ / "split" / "cloud.safetensors");
  for (const ServedModel* side : {&edge, &cloud}) {
    EXPECT_EQ(side->info.temperatures, (std::vector<float>{1.5F, 1.25F, 2.0F}));
    EXPECT_EQ(read_policy_record(side->info)->text, "p-tar:0.8");
  }
  const Attachment* predictor = edge.attachment(kPredictorAttachment);
  ASSERT_NE(predictor, nullptr);
  const ServedModel whole = load_served_model(folder_ / "model.safetensors");
  ExitScores exported(*predictor, edge.info);
  ExitScores original(*whole.attachment(kPredictorAttachment), whole.info);
  const Tensor image = Tensor(Shape{1, 3, 32, 32});
  EXPECT_EQ(exported.scores(image).data()[1], original.scores(image).data()[1]);
  EXPECT_EQ(cloud.attachment(kPredictorAttachment), nullptr);

  FeatureCoder encoder(*edge.attachment(kCodecAttachment), edge.info);
  FeatureCoder decoder(*cloud.attachment(kCodecAttachment), cloud.info);
  EXPECT_TRUE(encoder.can_encode());
  EXPECT_FALSE(encoder.can_decode());
  EXPECT_FALSE(decoder.can_encode());
  Rng rng(1);
  Tensor feature(*edge.feature_shape);
  for (float& value : feature.mutable_data()) value = rng.uniform(0.0F, 2.0F);
  EXPECT_EQ(decoder.decode(encoder.encode(feature)).shape(), *cloud.feature_shape);
  for (const auto& [name, bytes] : test::tensors_of(folder_ / "split" / "edge.safetensors"))
    EXPECT_FALSE(name.starts_with("codec.decoder")) << name;
}

TEST_F(ExportCommandTest, ACodecOfAnotherCutIsRefusedOrLeftOut) {
  expect_one_line(run_export("split", {"--cut", "1"}), 2, "codec");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "split"));
  const Outcome without = run_export("split", {"--cut", "1", "--no-codec"});
  ASSERT_EQ(without.code, 0) << without.error;
  const ServedModel cloud = load_served_model(folder_ / "split" / "cloud.safetensors");
  EXPECT_EQ(cloud.attachment(kCodecAttachment), nullptr);
  EXPECT_FALSE(cloud.info.records.contains("codec.cut"));
  EXPECT_TRUE(cloud.info.records.contains("policy.text"));
}

TEST_F(ExportCommandTest, APredictorOfOtherTemperaturesIsRefused) {
  LoadedModel model = load_model(folder_ / "model.safetensors");
  model.info.temperatures[0] = 3.0F;
  save_model(folder_ / "model.safetensors", *model.network, model.info, model.attachments);
  expect_one_line(run_export("split"), 1, "calibrated");
}

}  // namespace
}  // namespace branchy
