// `branchy infer-all` as a user runs it, on a small model and synthetic images.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "data/synth.h"
#include "infer/device_digest.h"
#include "tests/support/program.h"
#include "tests/support/small_model.h"
#include "tests/support/temporary_directory.h"
#include "train/logits_cache.h"

namespace branchy {
namespace {

using test::Outcome;
using test::tensors_of;

class InferAllCommand : public ::testing::Test {
 protected:
  InferAllCommand() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    write_synth_dataset(folder_.path(), {.num_train = 400, .num_test = 50, .seed = 5});
  }
  Outcome infer_all(const std::string& model, const std::string& out,
                    std::vector<std::string> more = {}) {
    std::vector<std::string> command{
        BRANCHY, "infer-all", path(model), "--data", "cifar10:" + folder_.path().string(),
        "--out", path(out),   "--threads", "1"};
    command.insert(command.end(), more.begin(), more.end());
    return test::run_program(std::move(command), folder_ / "log");
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_ / name).string();
  }

  test::TemporaryDirectory folder_;
};

TEST_F(InferAllCommand, KeepsWhatEveryExitSaysOfThePart) {
  LoadedModel model = test::small_model(false);
  model.info.temperatures = {1.5F, 2.0F, 0.5F};
  test::save(model, folder_ / "model");
  const Outcome outcome = infer_all("model", "logits");
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("50 images"), std::string::npos) << outcome.out;
  const LogitsCache cache = load_logits(folder_ / "logits");
  EXPECT_EQ(cache.num_samples(), 50);
  EXPECT_EQ(cache.num_exits(), 3);
  EXPECT_EQ(cache.part, "test");
  EXPECT_EQ(cache.temperatures, model.info.temperatures);
  EXPECT_FALSE(cache.scores.defined());
  EXPECT_EQ(cache.model_digest, model_digest(model));
  EXPECT_EQ(cache.costs.trunk, exit_costs(*model.network).trunk);
  EXPECT_EQ(cache.indices.back(), 49);

  // `eval` computes the same exits.
  ASSERT_EQ(test::run_program(
                {BRANCHY, "eval", path("model"), "--data", "cifar10:" + folder_.path().string(),
                 "--threads", "1", "--logits", path("eval")},
                folder_ / "log")
                .code,
            0);
  const auto expected = tensors_of(folder_ / "eval");
  const auto kept = tensors_of(folder_ / "logits");
  for (const auto& [name, bytes] : expected) EXPECT_EQ(kept.at(name), bytes) << name;

  ASSERT_EQ(infer_all("model", "small", {"--batch", "7"}).code, 0);
  EXPECT_EQ(tensors_of(folder_ / "small"), kept) << "the batch size changes nothing";
}

TEST_F(InferAllCommand, AddsTheScoresOfAPredictor) {
  const LoadedModel model = test::small_model(true);
  test::save(model, folder_ / "model");
  const Outcome outcome = infer_all("model", "logits", {"--split", "val"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("with predictor scores"), std::string::npos) << outcome.out;
  const LogitsCache cache = load_logits(folder_ / "logits");
  EXPECT_EQ(cache.num_samples(), 80);
  EXPECT_EQ(cache.scores.shape(), (Shape{80, 2}));
  EXPECT_GT(cache.costs.predictor, 3072 * 128);
  EXPECT_EQ(cache.predictor_digest, network_digest(*model.attachments.at("predictor").network));
  EXPECT_EQ(cache.model_digest, model_digest(test::small_model(false)))
      << "a predictor does not make another model";
}

TEST_F(InferAllCommand, RefusesWhatItCannotRun) {
  LoadedModel model = test::small_model(true);
  model.info.records["predictor.device_digest"] = "0123456789abcdef";
  test::save(model, folder_ / "foreign");
  test::expect_one_line(infer_all("foreign", "out"), 1, "trained for network 0123456789ab");
  model.info.records["predictor.device_digest"] = device_digest(model);
  model.info.records["predictor.reads_after"] = "3";
  test::save(model, folder_ / "deep");
  test::expect_one_line(infer_all("deep", "out"), 1, "after 3 trunk blocks");
  test::expect_one_line(infer_all("absent", "out"), 1, "absent");
  test::expect_one_line(infer_all("foreign", "out", {"--split", "some"}), 2, "--split");
  test::expect_one_line(infer_all("foreign", "out", {"--batch", "0"}), 2, "--batch");
  LoadedModel side = test::small_model(false);
  side.info.part = {.first_block = 0, .end_block = 5, .first_exit = 1, .last_exit = 2};
  test::save(side, folder_ / "side");
  test::expect_one_line(infer_all("side", "out"), 2, "one side of a split");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
}

}  // namespace
}  // namespace branchy
