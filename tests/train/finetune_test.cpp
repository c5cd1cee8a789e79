// Fine-tuning through the trainer: what is frozen keeps its bytes, and runs go on bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "core/threads.h"
#include "data/synth.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"
#include "train/trainer.h"

namespace branchy {
namespace {

using test::tensors_of;

/// Two steps of training from scratch on 100 synthetic images, then fine-tuning from there: 5 steps
/// of 20 an epoch.
class FinetuneTest : public ::testing::Test {
 protected:
  FinetuneTest() {
    set_num_threads(1);
    write_synth_dataset(folder_.path(), {.num_train = 150, .num_test = 50, .seed = 5});
    TrainOptions o = options("source");
    o.network.early_exits = 0;
    o.max_steps = 2;
    Trainer(o, false).run();
  }

  TrainOptions options(const std::string& name) const {
    TrainOptions o;
    o.data = "cifar10:" + folder_.path().string();
    o.out = folder_ / name;
    o.hyper = scaled_to_epochs(finetune_recipe("fast"), 2);
    o.hyper.augment = "crop-flip";
    o.hyper.batch = 20;
    o.val = 50;
    o.log_every = 1;
    o.checkpoint_seconds = 0.0;
    return o;
  }

  TrainOptions finetune(const std::string& name, const std::vector<std::string>& freeze) const {
    TrainOptions o = options(name);
    o.verb = "finetune";
    o.init = (folder_ / "source").string();
    o.finetune.freeze = freeze;
    return o;
  }

  [[nodiscard]] std::filesystem::path last(const std::string& run) const {
    return folder_ / run / "last.safetensors";
  }

  test::TemporaryDirectory folder_;
};

TEST_F(FinetuneTest, FrozenPartsKeepTheirBytesInTheAverageToo) {
  for (const char* optimizer : {"adamw", "sgd"}) {
    const std::string name = std::string("heads-") + optimizer;
    TrainOptions o = finetune(name, {"backbone", "classifier"});
    o.hyper.optimizer = optimizer;
    o.hyper.ema_decay = 0.9;
    o.max_steps = 4;
    Trainer(o, false).run();
    const auto source = tensors_of(trained_file(folder_ / "source"));
    const auto tuned = tensors_of(last(name));
    for (const auto& [tensor, bytes] : tuned) {
      if (tensor.starts_with("optimizer.")) {
        EXPECT_TRUE(tensor == "optimizer.steps" || tensor.find(".exits.") != std::string::npos)
            << tensor;
        continue;
      }
      const std::string own = tensor.starts_with("average.") ? tensor.substr(8) : tensor;
      if (own.starts_with("exits."))
        EXPECT_FALSE(source.contains(own)) << tensor;
      else  // the source is its averaged weights
        EXPECT_EQ(bytes, source.at("average." + own)) << tensor;
    }
  }
}

TEST_F(FinetuneTest, FrozenExitsAnswerWithTheSameBits) {
  TrainOptions o = finetune("heads", {"backbone", "classifier"});
  o.max_steps = 3;
  Trainer(o, false).run();
  const LoadedModel before = load_trained(folder_ / "source");
  const LoadedModel after = load_trained(folder_ / "heads");
  Tensor images(Shape{4, 3, 32, 32});
  Rng rng(9);
  for (float& value : images.mutable_data()) value = rng.normal();
  const NoGradGuard no_grad;
  const auto a = before.network->forward(Variable(images), {.mode = Mode::kEval});
  const auto b = after.network->forward(Variable(images), {.mode = Mode::kEval});
  ASSERT_EQ(b.size(), 3U);
  EXPECT_TRUE(std::equal(a.back().value().data().begin(), a.back().value().data().end(),
                         b.back().value().data().begin()));
}

TEST_F(FinetuneTest, UntilABlockFreezesTheBlocksBeforeAndTrainsTheRest) {
  TrainOptions o = finetune("until", {"until:layer2.0"});
  o.hyper.ema_decay = 0.0;
  o.max_steps = 2;
  Trainer(o, false).run();
  const auto source = tensors_of(trained_file(folder_ / "source"));
  const auto tuned = tensors_of(last("until"));
  for (const char* frozen : {"bn1.running_mean", "layer1.6.conv2.weight", "layer2.0.bn2.bias"})
    EXPECT_EQ(tuned.at(frozen), source.at(std::string("average.") + frozen)) << frozen;
  for (const char* trained : {"layer2.1.conv1.weight", "layer2.1.bn1.running_mean", "fc.weight"})
    EXPECT_NE(tuned.at(trained), source.at(std::string("average.") + trained)) << trained;
}

// Adam, a frozen trunk and a moving average, with the trunk's values stored (no augmentation) and
// computed for each batch.
TEST_F(FinetuneTest, ResumesBitForBit) {
  for (const char* augment : {"none", "crop-flip"}) {
    const auto run = [&](const std::string& name, std::int64_t steps, bool resume) {
      TrainOptions o = finetune(std::string(augment) + name, {"backbone"});
      o.hyper.augment = augment;
      o.max_steps = steps;
      Trainer(o, resume).run();
      return last(std::string(augment) + name);
    };
    const auto whole = run("whole", 8, false);
    run("parts", 3, false);
    run("parts", 5, true);
    EXPECT_EQ(tensors_of(whole), tensors_of(run("parts", 8, true))) << augment;
  }
}

TEST_F(FinetuneTest, StoredValuesInAFileGiveTheSameRunAsInMemory) {
  TrainOptions memory = finetune("memory", {"backbone"});
  memory.hyper.augment = "none";
  TrainOptions file = memory;
  file.out = folder_ / "file";
  file.finetune.feature_memory_mib = 0;
  Trainer(memory, false).run();
  Trainer(file, false).run();
  EXPECT_EQ(tensors_of(last("memory")), tensors_of(last("file")));
}

TEST_F(FinetuneTest, ACheckpointOfAnotherOptimizerIsRefused) {
  TrainOptions o = finetune("switch", {});
  o.max_steps = 1;
  Trainer(o, false).run();
  o.hyper.optimizer = "sgd";
  test::expect_error<DataError>([&] { Trainer(o, true); }, {"optimizer.velocity", "--optimizer"});
}

TEST_F(FinetuneTest, ABlockThatIsNotThereIsRefusedBeforeAnythingIsWritten) {
  TrainOptions o = finetune("never", {"until:layer2.99"});
  test::expect_error<ConfigError>([&] { Trainer(o, false); }, {"layer2.99", "layer2.0"});
  EXPECT_FALSE(std::filesystem::exists(folder_ / "never"));
}

}  // namespace
}  // namespace branchy
