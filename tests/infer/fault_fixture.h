// A small split network, its data and the right answers, for tests of faults with real programs.
#pragma once

#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <memory>
#include <string>

#include "core/threads.h"
#include "data/synth.h"
#include "experiments/fault_scenarios.h"
#include "tests/support/small_model.h"
#include "tests/support/temporary_directory.h"

namespace branchy::test {

/// Parameter: the scenario's name.
class FaultTest : public testing::TestWithParam<FaultScenario> {
 protected:
  static void SetUpTestSuite() {
    set_num_threads(1);
    directory_ = std::make_unique<TemporaryDirectory>();
    const std::filesystem::path root = *directory_ / "";
    write_synth_dataset(root / "data",
                        {.num_train = 50, .num_test = kImages, .seed = 3, .threads = 1});
    const LoadedModel model = small_model(false);
    const std::int64_t cut = model.network->exit(2).after_block;
    const NetworkPart whole = model.network->whole();
    const auto save_part = [&](const char* name, const NetworkPart& part) {
      ModelInfo info = model.info;
      info.part = part;
      info.cut = model.network->blocks()[static_cast<std::size_t>(cut - 1)].name;
      save_model(root / name, *model.network, info);
    };
    save_part("edge.safetensors", {0, cut, 1, 2});
    save_part("cloud.safetensors", {0, whole.end_block, 3, 3});
    FaultOptions options{.programs = {.bin = BRANCHY_BIN, .work = root / "work"},
                         .edge_model = root / "edge.safetensors",
                         .cloud_model = root / "cloud.safetensors",
                         .data = "cifar10:" + (root / "data").string(),
                         .images = kImages,
                         .edge_images = kImages,
                         .seconds = 0.6,
                         .stall_seconds = 0.5,
                         .connections = 16,
                         .idle_connections = 2'000,
                         .malformed = 3'000};
    ground_ = std::make_unique<FaultGround>(prepare_faults(options));
  }
  static void TearDownTestSuite() {
    ground_.reset();
    directory_.reset();
  }

  void run() {
    const FaultOutcome outcome = GetParam().run(*ground_);
    if (!outcome.skipped.empty()) GTEST_SKIP() << outcome.skipped;
    EXPECT_EQ(outcome.wrong, 0);
    EXPECT_EQ(outcome.lost, 0);
    EXPECT_GT(outcome.right, 0);
    EXPECT_EQ(outcome.right, outcome.requests);
    for (const std::string& problem : outcome.problems) ADD_FAILURE() << problem;
  }

  static constexpr std::int64_t kImages = 200;
  static inline std::unique_ptr<TemporaryDirectory> directory_;
  static inline std::unique_ptr<FaultGround> ground_;
};

/// "CloudKilled" of "cloud-killed".
inline std::string fault_name(const testing::TestParamInfo<FaultScenario>& scenario) {
  std::string name;
  bool upper = true;
  for (const char c : scenario.param.name) {
    if (c == '-') {
      upper = true;
      continue;
    }
    name += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return name;
}

}  // namespace branchy::test
