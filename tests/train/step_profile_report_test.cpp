#include "train/step_profile_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/threads.h"
#include "layers/models/registry.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "optim/sgd.h"

namespace branchy {
namespace {

/// Some steps of ResNet44 on 16 random images, and a stopwatch of our own around them.
class StepProfileReport : public ::testing::Test {
 protected:
  StepProfileReport() {
    set_num_threads(1);
    Rng rng(3);
    network_ = make_network({.name = "resnet44", .classes = 10, .early_exits = 2}, rng);
    std::vector<OptimizedParameter> parameters;
    for (const StateEntry& entry : network_->state())
      if (!entry.is_buffer) parameters.push_back({entry.name, entry.variable, entry.decays});
    sgd_ = std::make_unique<Sgd>(std::move(parameters), SgdParams{});
    images_ = Tensor(network_->input_shape().with_batch(16));
    for (float& value : images_.mutable_data()) value = rng.normal();
    step(nullptr);
    for (int i = 0; i < 2; ++i) step(&profile_);
  }

  void step(StepProfile* profile) {
    const auto start = std::chrono::steady_clock::now();
    {
      const StepProfile::Step profiled(profile);
      sgd_->clear_gradients();
      std::vector<Variable> losses;
      for (const Variable& logits : network_->forward(Variable(images_), {.mode = Mode::kTrain}))
        losses.push_back(softmax_cross_entropy(logits, labels_));
      weighted_sum(losses, std::vector<float>(losses.size(), 1.0F)).backward();
      sgd_->step(0.01F);
    }
    if (profile != nullptr)
      seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  std::unique_ptr<MultiExitNetwork> network_;
  std::unique_ptr<Sgd> sgd_;
  Tensor images_;
  std::vector<std::int64_t> labels_ = std::vector<std::int64_t>(16, 1);
  StepProfile profile_;
  double seconds_ = 0.0;
};

const ProfiledRun kRun{"resnet44", 16, {.gflops = 100, .gb_per_second = 20}};

TEST_F(StepProfileReport, AccountsForTheWallTimeOfTheSteps) {
  const auto json = nlohmann::json::parse(profile_json(profile_, kRun));
  const double wall_ms = 1000.0 * seconds_ / 2.0;
  double kinds_ms = 0.0;
  for (const auto& [name, kind] : json["kinds"].items()) kinds_ms += kind["ms"].get<double>();
  EXPECT_GE(kinds_ms, 0.95 * wall_ms);
  EXPECT_LE(kinds_ms, wall_ms);
  EXPECT_NEAR(json["sum"]["ms"].get<double>(), kinds_ms, 1e-6 * wall_ms);
  // Kernels, not the graph, take the time.
  EXPECT_LE(json["kinds"]["other"]["ms"].get<double>(), 0.25 * wall_ms);
  double layers_ms = 0.0;
  for (const auto& layer : json["layers"])
    layers_ms += layer["forward_ms"].get<double>() + layer["backward_ms"].get<double>();
  EXPECT_NEAR(layers_ms, kinds_ms, 1e-6 * wall_ms);
}

TEST_F(StepProfileReport, CountsTheWorkOfTheNetwork) {
  const auto json = nlohmann::json::parse(profile_json(profile_, kRun));
  double macs = 0.0;
  double linear_macs = 0.0;
  for (std::int64_t exit = 1; exit <= network_->num_exits(); ++exit)
    for (const auto& rows : {network_->profile_trunk(exit), network_->profile_exit(exit)})
      for (const CostRow& row : rows)
        (row.type == "linear" ? linear_macs : macs) += 16.0 * static_cast<double>(row.cost.macs);
  EXPECT_DOUBLE_EQ(json["kinds"]["convolution forward"]["flops"].get<double>(), 2.0 * macs);
  EXPECT_DOUBLE_EQ(json["kinds"]["convolution weight gradient"]["flops"].get<double>(), 2.0 * macs);
  EXPECT_DOUBLE_EQ(json["kinds"]["linear"]["flops"].get<double>(), 6.0 * linear_macs);
  const auto& layers = json["layers"];
  const auto conv = std::find_if(layers.begin(), layers.end(), [](const nlohmann::json& layer) {
    return layer["name"] == "layer1.0.conv1";
  });
  ASSERT_NE(conv, layers.end());
  EXPECT_EQ((*conv)["type"], "conv2d");
  EXPECT_GT((*conv)["forward_ms"].get<double>(), 0.0);
  EXPECT_GT((*conv)["ms"]["convolution weight gradient"].get<double>(), 0.0);
}

TEST_F(StepProfileReport, TableNamesKindsLayersAndCeilings) {
  const std::string table = profile_table(profile_, kRun);
  for (const char* text : {"2 steps of resnet44, batch 16", "100 GFLOP/s, 20.0 GB/s",
                           "convolution data gradient", "optimiser", "layer", "others"})
    EXPECT_NE(table.find(text), std::string::npos) << text << "\n" << table;
}

TEST(MachineCeiling, IsThatOfARealMachine) {
  set_num_threads(1);
  const MachineCeiling ceiling = measure_machine_ceiling();
  EXPECT_GT(ceiling.gflops, 1);
  EXPECT_GT(ceiling.gb_per_second, 0.1);
  EXPECT_LT(ceiling.gflops, 1e4);
  EXPECT_LT(ceiling.gb_per_second, 1e4);
}

}  // namespace
}  // namespace branchy
