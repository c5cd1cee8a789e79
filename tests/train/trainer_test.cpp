#include "train/trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/safetensors.h"
#include "core/threads.h"
#include "data/synth.h"
#include "tests/support/child_process.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

/// A run of ResNet44 on 400 synthetic images: 10 steps of 32 an epoch, a second or two in all.
class TrainerTest : public ::testing::Test {
 protected:
  TrainerTest() {
    set_num_threads(1);
    write_synth_dataset(folder_.path(), {.num_train = 400, .num_test = 50, .seed = 5});
  }

  TrainOptions options(const std::string& name) const {
    TrainOptions o;
    o.data = "cifar10:" + folder_.path().string();
    o.out = folder_ / name;
    o.hyper = scaled_to_epochs(recipe("fast"), 2);
    o.hyper.batch = 32;
    o.val = 80;
    o.log_every = 1;
    o.checkpoint_seconds = 0.0;
    return o;
  }

  static void expect_same_tensors(const std::filesystem::path& a, const std::filesystem::path& b) {
    const SafetensorsFile first(a);
    const SafetensorsFile second(b);
    ASSERT_EQ(first.entries().size(), second.entries().size());
    for (const auto& [name, entry] : first.entries()) {
      ASSERT_TRUE(second.contains(name)) << name;
      const auto& other = second.entries().at(name);
      EXPECT_TRUE(std::equal(entry.bytes.begin(), entry.bytes.end(), other.bytes.begin(),
                             other.bytes.end()))
          << name << " differs";
    }
  }

  test::TemporaryDirectory folder_;
};

TEST_F(TrainerTest, SameSeedGivesTheSameRunAtAnyNumberOfLoaderThreads) {
  TrainOptions one = options("one");
  TrainOptions three = options("three");
  three.loader_threads = 3;
  Trainer(one, false).run();
  Trainer(three, false).run();
  expect_same_tensors(one.out / "last.safetensors", three.out / "last.safetensors");
}

TEST_F(TrainerTest, AProfileIsWrittenAndChangesNoBit) {
  TrainOptions plain = options("plain");
  plain.max_steps = 7;
  Trainer(plain, false).run();
  EXPECT_FALSE(std::filesystem::exists(plain.out / "profile.json"));
  TrainOptions profiled = plain;
  profiled.out = folder_ / "profiled";
  Trainer trainer(profiled, false);
  trainer.profile(2);
  trainer.run();
  expect_same_tensors(plain.out / "last.safetensors", profiled.out / "last.safetensors");
  const auto json = nlohmann::json::parse(std::ifstream(profiled.out / "profile.json"));
  EXPECT_EQ(json["steps"], 2);
  EXPECT_GE(json["sum"]["share"].get<double>(), 0.95);
  EXPECT_LE(json["sum"]["share"].get<double>(), 1.0);
  EXPECT_EQ(json["kinds"]["loader wait"]["calls"], 1.0);
}

TEST_F(TrainerTest, ResumesBitForBitFromTheMiddleOfAnEpoch) {
  TrainOptions whole = options("whole");
  whole.max_steps = 17;
  Trainer(whole, false).run();

  TrainOptions parts = options("parts");
  parts.max_steps = 6;
  Trainer(parts, false).run();
  parts.max_steps = 13;
  Trainer(parts, true).run();
  parts.max_steps = 17;
  Trainer(parts, true).run();
  expect_same_tensors(whole.out / "last.safetensors", parts.out / "last.safetensors");

  // The log is that of the uninterrupted run, the epoch's training figures too.
  const auto column = [](const std::filesystem::path& file, std::size_t index) {
    std::ifstream csv(file);
    std::string line;
    std::getline(csv, line);
    std::getline(csv, line);
    for (std::size_t i = 0; i < index; ++i) line = line.substr(line.find(',') + 1);
    return line.substr(0, line.find(','));
  };
  for (const std::size_t index : {std::size_t{3}, std::size_t{5}})
    EXPECT_EQ(column(whole.out / "metrics.csv", index), column(parts.out / "metrics.csv", index));
}

TEST_F(TrainerTest, SelfDistillationChangesTheEarlyExitsAndResumesBitForBit) {
  TrainOptions plain = options("plain");
  plain.max_steps = 4;
  Trainer(plain, false).run();
  TrainOptions whole = options("distilled");
  whole.hyper.distill = 0.5;
  whole.max_steps = 4;
  Trainer(whole, false).run();
  TrainOptions parts = whole;
  parts.out = folder_ / "parts";
  parts.max_steps = 2;
  Trainer(parts, false).run();
  parts.max_steps = 4;
  Trainer(parts, true).run();
  expect_same_tensors(whole.out / "last.safetensors", parts.out / "last.safetensors");
  const auto exit_bias = [](const TrainOptions& o) {
    return SafetensorsFile(o.out / "last.safetensors").tensor("exits.1.fc.bias").data()[0];
  };
  EXPECT_NE(exit_bias(plain), exit_bias(whole));
}

TEST_F(TrainerTest, RefusesToOverwriteARun) {
  TrainOptions o = options("taken");
  o.max_steps = 1;
  Trainer(o, false).run();
  test::expect_error<ConfigError>([&] { Trainer(o, false); }, {"holds a run already", "--resume"});
}

TEST_F(TrainerTest, WhatIsRefusedLeavesNoFolder) {
  const auto refuses = [&](const char* text, const auto& spoil) {
    TrainOptions o = options("refused");
    spoil(o);
    test::expect_error<Error>([&] { Trainer(o, false); }, {text});
    EXPECT_FALSE(std::filesystem::exists(o.out)) << text;
  };
  refuses("--lr", [](TrainOptions& o) { o.hyper.rate = -1.0; });
  refuses("/nonexistent", [](TrainOptions& o) { o.data = "cifar10:/nonexistent"; });
  refuses("early exits", [](TrainOptions& o) { o.network.early_exits = 5; });
  refuses("--distill 0.5", [](TrainOptions& o) {
    o.network.early_exits = 0;
    o.hyper.distill = 0.5;
  });
  refuses("--distill-temperature", [](TrainOptions& o) { o.hyper.distill_temperature = 0.0; });
  refuses("absent", [](TrainOptions& o) {
    o.init = "absent";
    o.weights.normalize = "cifar10";
  });
  refuses("quotes", [&](TrainOptions& o) { o.out = folder_ / "'\""; });
}

TEST_F(TrainerTest, RefusesACheckpointOfAnotherNetworkOrSplit) {
  TrainOptions o = options("other");
  o.max_steps = 1;
  Trainer(o, false).run();
  TrainOptions three_exits = o;
  three_exits.network.early_exits = 3;
  test::expect_error<DataError>([&] { Trainer(three_exits, true); },
                                {"checkpoint of resnet44", "early exits"});
  TrainOptions other_split = o;
  other_split.val = 40;
  test::expect_error<DataError>([&] { Trainer(other_split, true); }, {"held out"});
}

TEST_F(TrainerTest, StopsAtALossThatIsNotFiniteAndKeepsTheLastGoodCheckpoint) {
  TrainOptions o = options("diverges");
  o.max_steps = 1;
  Trainer(o, false).run();
  // A poisoned start: one weight of the first convolution is NaN.
  const SafetensorsFile good(o.out / "last.safetensors");
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, entry] : good.entries())
    if (!name.starts_with("optimizer.") && !name.starts_with("average."))
      tensors.emplace(name, good.tensor(name));
  tensors.at("layer1.3.conv1.weight").mutable_data()[7] = std::numeric_limits<float>::quiet_NaN();
  write_safetensors(folder_ / "nan.safetensors", tensors, good.metadata());
  TrainOptions poisoned = options("poisoned");
  poisoned.init = (folder_ / "nan.safetensors").string();
  test::expect_error<NumericError>([&] { Trainer(poisoned, false).run(); },
                                   {"nan.safetensors", "layer1.3.conv1.weight"});
  EXPECT_FALSE(std::filesystem::exists(poisoned.out));

  TrainOptions hot = options("hot");
  hot.hyper.rate = 1e9;
  hot.hyper.warmup_epochs = 0.0;
  hot.hyper.ema_decay = 0.0;
  hot.checkpoint_seconds = 1e6;
  test::expect_error<NumericError>([&] { Trainer(hot, false).run(); }, {"step"});
  const SafetensorsFile kept(hot.out / "last.safetensors");
  EXPECT_EQ(kept.metadata().at("train.step"), "0");
}

TEST_F(TrainerTest, TheModelRecordsWhatWasHeldOut) {
  TrainOptions o = options("held_out");
  o.max_steps = 1;
  Trainer(o, false).run();
  const LoadedModel model = load_trained(o.out);
  EXPECT_EQ(model.info.val_count, 80);
  EXPECT_EQ(model.info.val_seed, 1U);
}

TEST_F(TrainerTest, TrainsWithoutValidationAndWithoutExits) {
  TrainOptions o = options("plain");
  o.val = 0;
  o.network.early_exits = 0;
  o.hyper = scaled_to_epochs(o.hyper, 1);
  o.max_steps = 3;
  EXPECT_EQ(Trainer(o, false).run(), TrainingEnd::kFinished);
  EXPECT_TRUE(std::filesystem::exists(o.out / "result.json"));
}

}  // namespace
}  // namespace branchy
