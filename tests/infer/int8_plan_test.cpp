// Networks whose convolutions are computed in 8 bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/threads.h"
#include "infer/exit_runner.h"
#include "infer/int8_calibration.h"
#include "infer/model.h"
#include "infer/plan_graph.h"
#include "infer/plan_int8.h"
#include "infer/program.h"
#include "layers/model_file.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using test::expect_error;
using test::same_bits;

class Int8Plan : public testing::Test {
 protected:
  void SetUp() override {
    if (!dnn::int8_is_exact()) GTEST_SKIP() << "this CPU has no VNNI";
    threads_ = num_threads();
  }
  void TearDown() override {
    if (threads_ > 0) set_num_threads(threads_);
  }

  static Tensor images(std::int64_t count, std::uint64_t seed) {
    Rng rng(seed);
    return test::random_tensor({count, 3, 32, 32}, rng, -2.0F, 2.0F);
  }

  [[nodiscard]] Int8Ranges calibrated() const {
    Int8Calibration calibration(float_plan_);
    calibration.add(images(4, 1));
    calibration.add(images(4, 2));
    return calibration.ranges();
  }

  [[nodiscard]] std::shared_ptr<const Plan> int8(const NetworkPart& part) const {
    return Plan::lower(*network_, part, ranges_);
  }

  static std::vector<Tensor> exits_of(ExitRunner& runner) {
    std::vector<Tensor> logits;
    while (runner.has_next()) logits.push_back(runner.next_exit().logits);
    return logits;
  }

  static std::vector<Tensor> run(const std::shared_ptr<const Plan>& plan, const Tensor& src) {
    ExitRunner runner(plan);
    runner.start(src);
    return exits_of(runner);
  }

  static std::int64_t num_int8_steps(const Plan& plan) {
    const auto program = plan.program(1);
    return std::count_if(program->steps.begin(), program->steps.end(), [](const auto& step) {
      const std::string name = step.primitive.implementation();
      return name.ends_with(" u8") || name.ends_with(" s8");
    });
  }

  std::unique_ptr<MultiExitNetwork> network_ = test::lived_in_network(2);
  NetworkPart whole_ = network_->whole();
  std::shared_ptr<const Plan> float_plan_ = Plan::lower(*network_, whole_);
  Int8Ranges ranges_ = calibrated();
  std::int64_t threads_ = 0;
};

TEST_F(Int8Plan, ComputesEveryConvolutionOverManyChannelsInIntegers) {
  std::int64_t convolutions = 0;
  for (const auto& segment : float_plan_->graph().segments)
    for (const auto& op : segment.ops) convolutions += detail::int8_takes(op) ? 1 : 0;
  EXPECT_GT(convolutions, 43);
  EXPECT_EQ(std::ssize(ranges_), convolutions);
  EXPECT_EQ(num_int8_steps(*float_plan_), 0);
  EXPECT_EQ(num_int8_steps(*int8(whole_)), convolutions);
}

// Sources of both convolutions of a residual block are needed in 8 bits; that of the second alone
// is made so by the first.
TEST_F(Int8Plan, ReordersOncePerResidualBlock) {
  const auto program = int8(whole_)->program(1);
  std::int64_t blocks = 0;
  for (std::size_t i = 0; i < program->segment_steps.size(); ++i) {
    const auto& segment = float_plan_->graph().segments[i];
    const auto [first, end] = program->segment_steps[i];
    if (segment.is_exit || end - first < 3) continue;
    ++blocks;
    EXPECT_EQ(std::count_if(program->steps.begin() + static_cast<std::ptrdiff_t>(first),
                            program->steps.begin() + static_cast<std::ptrdiff_t>(end),
                            [](const auto& step) { return step.is_reorder; }),
              1)
        << "block " << segment.number;
  }
  EXPECT_EQ(blocks, 21);
}

// Each layer rounds its source to 255 or 254 steps and its weights to 254: measured 0.9, 2.5 and
// 1.1 % of the logits of random weights.
TEST_F(Int8Plan, GivesAboutWhatFloatsGive) {
  const Tensor src = images(8, 3);
  const auto expected = run(float_plan_, src);
  const auto logits = run(int8(whole_), src);
  for (std::size_t exit = 0; exit < expected.size(); ++exit) {
    double squares = 0;
    double errors = 0;
    for (std::size_t i = 0; i < expected[exit].data().size(); ++i) {
      const double wanted = double{expected[exit].data()[i]};
      squares += wanted * wanted;
      errors += std::pow(double{logits[exit].data()[i]} - wanted, 2);
    }
    EXPECT_LT(std::sqrt(errors / squares), 0.04) << "exit " << exit + 1;
    EXPECT_GT(errors, 0.0) << "exit " << exit + 1;
  }
}

TEST_F(Int8Plan, GivesASampleTheSameBitsInAnyBatchWithAnyThreads) {
  const Tensor src = images(32, 4);
  set_num_threads(1);
  std::vector<std::vector<Tensor>> alone;
  {
    const auto plan = int8(whole_);
    for (std::int64_t n = 0; n < 32; ++n) alone.push_back(run(plan, test::sample(src, n)));
  }
  for (const std::int64_t threads : {std::int64_t{1}, num_available_cpus()}) {
    set_num_threads(threads);
    const auto plan = int8(whole_);
    for (const std::int64_t batch : {1, 5, 32}) {
      const auto size = static_cast<std::size_t>(batch * src.size() / 32);
      const auto logits =
          run(plan, Tensor::from(src.shape().with_batch(batch), src.data().first(size)));
      for (std::int64_t n = 0; n < batch; ++n)
        for (std::size_t exit = 0; exit < logits.size(); ++exit)
          EXPECT_TRUE(
              same_bits(alone[static_cast<std::size_t>(n)][exit], test::sample(logits[exit], n)))
              << "sample " << n << " of " << batch << ", exit " << exit + 1 << ", " << threads
              << " threads";
    }
  }
}

// An exit brings its source into 8 bits for itself alone.
TEST_F(Int8Plan, ExitsThatAreLeftOutChangeNoBit) {
  const auto plan = int8(whole_);
  for (const std::int64_t batch : {1, 3}) {
    const Tensor src = images(batch, 10);
    ExitRunner runner(plan);
    runner.start(src);
    EXPECT_TRUE(same_bits(runner.run_to(3).logits, run(plan, src)[2])) << "batch " << batch;
  }
}

TEST_F(Int8Plan, CutInTwoGivesTheBitsOfTheWhole) {
  const Tensor src = images(2, 5);
  const auto expected = run(int8(whole_), src);
  const std::int64_t cut = network_->exit(2).after_block;
  ExitRunner prefix(int8({0, cut, 1, 2}));
  ExitRunner suffix(int8({cut, whole_.end_block, 3, 3}));
  prefix.start(src);
  auto logits = exits_of(prefix);
  suffix.start(prefix.feature());
  logits.push_back(exits_of(suffix)[0]);
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(same_bits(expected[i], logits[i])) << "exit " << i + 1;
}

TEST_F(Int8Plan, ClipsWhatLiesBeyondTheCalibratedRange) {
  Int8Ranges narrow = ranges_;
  for (auto& [operation, range] : narrow) range = {range.low / 64, range.high / 64};
  const Tensor src = images(2, 6);
  const auto logits = run(Plan::lower(*network_, whole_, narrow), src);
  for (const Tensor& exit : logits)
    for (const float value : exit.data()) EXPECT_TRUE(std::isfinite(value));
  EXPECT_FALSE(same_bits(logits[2], run(int8(whole_), src)[2]));
}

TEST_F(Int8Plan, RangesTravelInTheModelFile) {
  const test::TemporaryDirectory folder;
  ModelInfo info;
  info.config = network_->config();
  info.part = whole_;
  info.std = {1.0F, 1.0F, 1.0F};
  info.records[std::string(kInt8RangesRecord)] = to_text(ranges_);
  const auto file = folder.path() / "model.safetensors";
  save_model(file, *network_, info);
  const ServedModel served = load_served_model(file);
  const Tensor src = images(1, 7);
  EXPECT_TRUE(same_bits(run(served.plan, src)[2], run(int8(whole_), src)[2]));
}

TEST_F(Int8Plan, RefusesRangesOfOperationsThatItDoesNotHave) {
  const auto lower = [&](const PlanOperation& operation, const NetworkPart& part) {
    return [this, operation, part] {
      static_cast<void>(Plan::lower(*network_, part, {{operation, {0.0F, 1.0F}}}));
    };
  };
  expect_error<DataError>(lower({false, 99, 0}, whole_),
                          {"int8.ranges", "block99.0", "of the network"});
  expect_error<DataError>(lower({true, 4, 0}, whole_), {"exit4.0"});
  expect_error<DataError>(lower({true, 0, 0}, whole_), {"exit0.0"});
  expect_error<DataError>(lower({false, 3, 7}, whole_), {"block3.7", "convolution"});
  expect_error<DataError>(lower({false, 0, 0}, whole_), {"block0.0", "16 or more channels"});
  lower({false, 20, 0}, {0, 5, 1, 0})();  // of another part
}

TEST(Int8Vgg, LargeLinearLayersKeepTheirBitsInAnyBatch) {
  if (!dnn::int8_is_exact()) GTEST_SKIP() << "this CPU has no VNNI";
  const NetworkConfig config{
      .name = "vgg16_bn", .classes = 10, .early_exits = 2, .options = {{"hidden", "2050"}}};
  const auto network = test::lived_in_network(config);
  Int8Calibration calibration(Plan::lower(*network, network->whole()));
  Rng rng(8);
  const Tensor src = test::random_tensor({3, 3, 32, 32}, rng, -2.0F, 2.0F);
  calibration.add(src);
  const Int8Ranges ranges = calibration.ranges();
  EXPECT_TRUE(std::any_of(ranges.begin(), ranges.end(), [](const auto& entry) {
    return entry.first.is_exit && entry.first.number == 3;
  }));
  const auto plan = Plan::lower(*network, network->whole(), ranges);
  const auto run = [&](const Tensor& images) {
    ExitRunner runner(plan);
    runner.start(images);
    return runner.run_to(3).logits;
  };
  const Tensor batch = run(src);
  for (std::int64_t n = 0; n < 3; ++n)
    EXPECT_TRUE(same_bits(run(test::sample(src, n)), test::sample(batch, n))) << "sample " << n;
}

// Run by int8_plan_test_without_vnni.
TEST(Int8WithoutVnni, ComputesInFloat32) {
  if (dnn::int8_is_exact()) GTEST_SKIP() << "this CPU has VNNI";
  const auto network = test::lived_in_network(2);
  Rng rng(9);
  const Tensor src = test::random_tensor({1, 3, 32, 32}, rng);
  const auto run = [&](const Int8Ranges& ranges) {
    ExitRunner runner(Plan::lower(*network, network->whole(), ranges));
    runner.start(src);
    return runner.run_to(3).logits;
  };
  EXPECT_TRUE(same_bits(run({{{false, 1, 0}, {0.0F, 0.1F}}}), run({})));
}

TEST(Int8Ranges, TextGivesThemBackExactly) {
  const Int8Ranges ranges{{{false, 3, 1}, {-0.1F, 1.0F / 3}}, {{true, 2, 0}, {0.0F, 6.0F}}};
  const std::string text = to_text(ranges);
  EXPECT_TRUE(text.starts_with("block3.1 -0.1 0.33333")) << text;
  const Int8Ranges read = parse_int8_ranges(text);
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read.at({false, 3, 1}).low, -0.1F);
  EXPECT_EQ(read.at({false, 3, 1}).high, 1.0F / 3);
  EXPECT_EQ(read.at({true, 2, 0}).high, 6.0F);
}

TEST(Int8Ranges, RefuseTextThatIsNone) {
  const auto parse = [](const char* text) {
    return [text] { static_cast<void>(parse_int8_ranges(text)); };
  };
  expect_error<DataError>(parse("block3.1 0"), {"int8.ranges", "block3.1", "two bounds"});
  expect_error<DataError>(parse("block3.1"), {"block3.1", "two bounds"});
  expect_error<DataError>(parse("block3.1 0 many"), {"'many'", "finite"});
  expect_error<DataError>(parse("block3.1 0 nan"), {"'nan'", "finite"});
  expect_error<DataError>(parse("block3.1 -inf 1"), {"'-inf'", "finite"});
  expect_error<DataError>(parse("block3.1 2 1"), {"block3.1", "both sides of zero"});
  expect_error<DataError>(parse("block3.1 -2 -1"), {"block3.1", "both sides of zero"});
  expect_error<DataError>(parse("block3.1 0 1 block3.1 0 2"), {"block3.1", "twice"});
  for (const char* name : {"layer3.1", "block", "block3", "block.1", "block3.", "block-3.1",
                           "block3.x", "exit1234567.0", "exit"})
    expect_error<DataError>(parse((std::string(name) + " 0 1").c_str()), {name, "exit<N>.<I>"});
  expect_error<DataError>(parse(" "), {"no operation"});
}

TEST(Int8Calibration, RefusesOtherPlansAndImages) {
  const auto network = test::lived_in_network(2);
  expect_error<ConfigError>(
      [&] {
        Int8Calibration(Plan::lower(*network, {1, 3, 1, 0}));
      },
      {"[int8]", "whole network"});
  const auto narrow =
      test::lived_in_network({.name = "cnn9", .early_exits = 0, .options = {{"widths", "4,4,6"}}});
  expect_error<ConfigError>([&] { Int8Calibration(Plan::lower(*narrow, narrow->whole())); },
                            {"[int8]", "neither a convolution"});
  if (dnn::int8_is_exact())
    expect_error<ConfigError>(
        [&] {
          Int8Calibration(Plan::lower(*network, network->whole(), {{{false, 1, 0}, {0.0F, 1.0F}}}));
        },
        {"[int8]", "float32"});
  Int8Calibration calibration(Plan::lower(*network, network->whole()));
  expect_error<Error>([&] { static_cast<void>(calibration.ranges()); }, {"no image"});
  expect_error<ShapeError>(
      [&] {
        calibration.add(Tensor::zeros({1, 3, 28, 28}));
      },
      {"[1,3,28,28]", "[1,3,32,32]"});
}

}  // namespace
}  // namespace branchy
