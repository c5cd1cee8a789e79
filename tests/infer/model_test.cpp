// Model files as the two sides of a split serve them.
#include "infer/model.h"

#include <gtest/gtest.h>

#include "infer/exit_runner.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

class ServedModelTest : public testing::Test {
 protected:
  ServedModel serve(const NetworkPart& part, const std::string& cut) {
    ModelInfo info;
    info.config = network_->config();
    info.part = part;
    info.mean = {0.5F, 0.5F, 0.5F};
    info.std = {0.25F, 0.25F, 0.25F};
    info.cut = cut;
    const auto path = directory_ / "model.safetensors";
    save_model(path, *network_, info);
    return load_served_model(path);
  }

  static Tensor last_logits(ExitRunner& runner) {
    Tensor logits;
    while (runner.has_next()) logits = runner.next_exit().logits;
    return logits;
  }

  test::TemporaryDirectory directory_;
  std::unique_ptr<MultiExitNetwork> network_ = test::lived_in_network(2);
};

TEST_F(ServedModelTest, EdgeAndCloudFilesTogetherAnswerLikeTheWhole) {
  const std::int64_t cut_blocks = network_->exit(2).after_block;
  const std::string cut = network_->blocks()[static_cast<std::size_t>(cut_blocks - 1)].name;
  const NetworkPart whole = network_->whole();
  const ServedModel edge = serve({0, cut_blocks, 1, 2}, cut);
  const ServedModel cloud = serve({0, whole.end_block, 3, 3}, cut);
  const ServedModel suffix = serve({cut_blocks, whole.end_block, 3, 3}, cut);
  const Shape feature_shape{1, 32, 16, 16};
  EXPECT_EQ(edge.cut_blocks, cut_blocks);
  EXPECT_EQ(edge.feature_shape, feature_shape);
  EXPECT_EQ(cloud.feature_shape, feature_shape);
  EXPECT_EQ(cloud.image_shape, Shape({1, 3, 32, 32}));
  EXPECT_FALSE(suffix.image_shape.has_value());
  EXPECT_EQ(suffix.plan->input_shape(), feature_shape);

  Rng rng(4);
  const Tensor image = test::random_tensor({1, 3, 32, 32}, rng);
  ExitRunner reference(Plan::lower(*network_, whole));
  reference.start(image);
  const Tensor expected = last_logits(reference);

  ExitRunner edge_runner(edge.plan);
  edge_runner.start(image);
  EXPECT_EQ(last_logits(edge_runner).shape(), Shape({1, 10}));
  const Tensor feature = edge_runner.feature();
  ExitRunner cloud_runner(cloud.plan);
  cloud_runner.start_after(cloud.cut_blocks, feature);
  EXPECT_TRUE(test::same_bits(last_logits(cloud_runner), expected));
  cloud_runner.start(image);
  EXPECT_TRUE(test::same_bits(last_logits(cloud_runner), expected));
  ExitRunner suffix_runner(suffix.plan);
  suffix_runner.start(feature);
  EXPECT_TRUE(test::same_bits(last_logits(suffix_runner), expected));
}

TEST_F(ServedModelTest, AWholeNetworkHasNoCut) {
  const ServedModel model = serve(network_->whole(), "");
  EXPECT_FALSE(model.feature_shape.has_value());
  EXPECT_EQ(model.cut_blocks, network_->whole().end_block);
  EXPECT_EQ(model.image_shape, Shape({1, 3, 32, 32}));
}

}  // namespace
}  // namespace branchy
