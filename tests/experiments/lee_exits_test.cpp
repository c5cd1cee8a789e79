// The table of Lee et al.: its rows on logits made by hand, its trends, the command.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/synth.h"
#include "experiments/lee_report.h"
#include "experiments/lee_rows.h"
#include "experiments/lee_trends.h"
#include "layers/model_file.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

std::unique_ptr<MultiExitNetwork> small_cnn9(std::int64_t exits, const std::string& places) {
  Rng rng(1);
  return make_network({.name = "cnn9",
                       .classes = 2,
                       .early_exits = exits,
                       .options = {{"widths", "2,2,2"}, {"exit-after", places}}},
                      rng);
}

/// Two classes; the log odds of class 0 at each exit, sample by sample.
LogitsCache cache_of(const MultiExitNetwork& network,
                     const std::vector<std::vector<float>>& log_odds,
                     const std::vector<std::int64_t>& labels) {
  LogitsCache cache;
  for (const std::vector<float>& exit : log_odds) {
    std::vector<float> values;
    for (const float odds : exit) values.insert(values.end(), {odds, 0.0F});
    cache.logits.push_back(Tensor::from(Shape{std::ssize(exit), 2}, values));
  }
  cache.labels = labels;
  cache.costs = exit_costs(network);
  return cache;
}

const std::vector<std::int64_t> kFive{5};
const std::vector<double> kOneThreshold{0.5};

TEST(LeeRows, CountWhoAnswersAndHowWell) {
  const auto network = small_cnn9(1, "5");
  // Normalised entropy of the log odds: 6 -> 0.025, 1 -> 0.840, -6 -> 0.025, 0 -> 1.
  const LogitsCache cache = cache_of(*network, {{6, 1, -6, 0}, {-3, 3, 3, -3}}, {0, 0, 0, 1});
  const auto rows = lee_rows("SEM-5", *network, StoredExits(cache, {}), kFive, kOneThreshold);
  ASSERT_EQ(rows.size(), 1U);
  const LeeRow& row = rows[0];
  EXPECT_EQ(row.name(), "SEM-5");
  EXPECT_EQ(row.block, 5);
  EXPECT_EQ(row.local, 2);
  EXPECT_EQ(row.acc_exited, 0.5) << "samples 1 and 3";
  EXPECT_EQ(row.acc_cloud, 1.0) << "samples 2 and 4";
  EXPECT_EQ(row.overall, 0.75);
  EXPECT_EQ(row.acc_all, 0.5) << "the tie of sample 4 goes to class 0";
  EXPECT_EQ(row.acc_all_final, 0.75) << "all but the first";
  EXPECT_EQ(row.mean_bytes, 0.5 * 4 * 2 * 16 * 16);
}

TEST(LeeRows, EmptyGroupsHaveNoAccuracy) {
  const auto network = small_cnn9(1, "5");
  const LogitsCache sure = cache_of(*network, {{6, -6}, {1, 1}}, {0, 1});
  const std::vector<double> thresholds{0.01, 0.5};
  const auto rows = lee_rows("SEM-5", *network, StoredExits(sure, {}), kFive, thresholds);
  EXPECT_EQ(rows[0].local, 0);
  EXPECT_FALSE(rows[0].acc_exited.has_value());
  EXPECT_EQ(rows[1].local, 2);
  EXPECT_FALSE(rows[1].acc_cloud.has_value());
  EXPECT_NE(lee_text(rows, {}, {}).find("n/a"), std::string::npos);
  EXPECT_TRUE(nlohmann::json::parse(lee_json(rows, {}, {}))["rows"][0]["acc_exited"].is_null());
}

TEST(LeeRows, OfSeveralExitsOneIsActive) {
  const auto network = small_cnn9(2, "2,5");
  const LogitsCache cache = cache_of(*network, {{9, 9}, {0, -9}, {3, 3}}, {0, 1});
  const auto rows = lee_rows("MEM", *network, StoredExits(cache, {}), kFive, kOneThreshold);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].name(), "MEM exit 5");
  EXPECT_EQ(rows[0].local, 1) << "the certain exit 2 is not asked";
  EXPECT_EQ(rows[0].overall, 1.0);
  const auto single = small_cnn9(1, "5");
  EXPECT_EQ(rows[0].device_operations, exit_costs(*single).trunk[0] + exit_costs(*single).exit[0])
      << "nor paid for";
  const std::vector<std::int64_t> three{3};
  test::expect_error<ConfigError>(
      [&] {
        static_cast<void>(lee_rows("MEM", *network, StoredExits(cache, {}), three, kOneThreshold));
      },
      {"MEM has no early exit after block 3"});
}

LeeRow row(bool multi, std::int64_t block, double threshold, std::int64_t local, double acc_all) {
  LeeRow row;
  row.model = multi ? "MEM" : "SEM-" + std::to_string(block);
  row.multi_exit = multi;
  row.block = block;
  row.threshold = threshold;
  row.samples = 100;
  row.local = local;
  row.acc_all = acc_all;
  return row;
}

const LeeTrend& trend_of(const std::vector<LeeTrend>& trends, const std::string& statement) {
  for (const LeeTrend& trend : trends)
    if (trend.statement.starts_with(statement)) return trend;
  throw std::runtime_error("no trend " + statement);
}

TEST(LeeTrends, NameWhatContradictsThem) {
  const std::vector<LeeRow> rows{row(false, 2, 0.1, 10, 0.6), row(false, 2, 0.3, 30, 0.6),
                                 row(false, 5, 0.1, 40, 0.7), row(false, 5, 0.3, 20, 0.7),
                                 row(true, 5, 0.1, 30, 0.8)};
  const auto trends = lee_trends(rows);
  const LeeTrend& by_depth = trend_of(trends, "SEM: local share grows with the exit's depth");
  EXPECT_EQ(by_depth.verdict(), "does not hold (1 of 2)");
  ASSERT_EQ(by_depth.against.size(), 1U);
  EXPECT_EQ(by_depth.against[0], "SEM-2 at T 0.3: 30.00 %, SEM-5 at T 0.3: 20.00 %");
  EXPECT_EQ(trend_of(trends, "SEM: local share grows with T").verdict(), "does not hold (1 of 2)");
  EXPECT_EQ(trend_of(trends, "SEM: accuracy of all samples").verdict(), "holds (2 of 2)");
  EXPECT_EQ(trend_of(trends, "SEM-k answers at least as many").verdict(), "holds (1 of 1)");
  EXPECT_EQ(trend_of(trends, "SEM-k is at least as accurate").verdict(), "does not hold (0 of 1)");
  EXPECT_EQ(trend_of(trends, "SEM: cloud accuracy falls with T").verdict(), "not compared")
      << "no group has one";
}

TEST(LeePrintedFigures, MeetTheRowsOfTheirKind) {
  const auto printed = lee_printed();
  EXPECT_EQ(printed.size(), 17U);
  std::vector<std::string> met;
  const LeeRow sem8 = row(false, 8, 0.3, 90, 0.9);
  for (const LeePrinted& figure : printed)
    if (figure.is_of(sem8)) met.push_back(figure.quantity);
  EXPECT_EQ(met, (std::vector<std::string>{"local", "acc_exited", "acc_cloud", "overall"}));
  EXPECT_EQ(measured(sem8, "local"), 9000.0) << "of the 10,000 images of the paper";
  EXPECT_EQ(measured(sem8, "acc_exited"), std::nullopt);
}

TEST(LeeExitsCommand, WritesItsTableForTrainedNetworks) {
  ::setenv("OMP_NUM_THREADS", "1", 1);
  const test::TemporaryDirectory folder;
  write_synth_dataset(folder.path(), {.num_train = 50, .num_test = 50, .seed = 5});
  for (const auto& [name, exits, places] :
       {std::tuple{"sem", 1, "5"}, std::tuple{"mem", 2, "2,5"}}) {
    Rng rng(2);
    const auto network = make_network({.name = "cnn9",
                                       .early_exits = exits,
                                       .options = {{"widths", "4,4,4"}, {"exit-after", places}}},
                                      rng);
    ModelInfo info;
    info.config = network->config();
    info.part = network->whole();
    info.std = {1.0F, 1.0F, 1.0F};
    save_model(folder / name, *network, info);
  }
  const std::string data = "cifar10:" + folder.path().string();
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {BRANCHY_EXPERIMENTS, "lee-exits", "--data", data});
    return test::run_program(std::move(arguments), folder / "log");
  };
  const test::Outcome table = run({"--model", "SEM-5=" + (folder / "sem").string(), "--model",
                                   "MEM=" + (folder / "mem").string(), "--blocks", "2,5",
                                   "--threshold", "0.3,1", "--out", (folder / "out").string()});
  ASSERT_EQ(table.code, 0) << table.error;
  EXPECT_NE(table.out.find("MEM exit 2"), std::string::npos) << table.out;
  std::ifstream file(folder / "out" / "lee_exits.json");
  const auto json = nlohmann::json::parse(file);
  EXPECT_EQ(json["rows"].size(), 6U);
  EXPECT_EQ(json["models"][1]["name"], "MEM");
  EXPECT_TRUE(json.contains("commit"));
  for (const char* name : {"lee_exits.csv", "lee_exits.txt", "lee_exits.svg"})
    EXPECT_GT(std::filesystem::file_size(folder / "out" / name), 100U) << name;

  const std::string sem = "SEM-5=" + (folder / "sem").string();
  test::expect_one_line(run({"--model", "sem"}), 2, "NAME=RUN");
  test::expect_one_line(run({"--model", sem, "--threshold", "0"}), 2, "0 < T <= 1");
  test::expect_one_line(run({"--model", sem, "--threshold", "nan"}), 2, "0 < T <= 1");
  test::expect_one_line(run({"--model", "SEM-1=absent"}), 1, "absent");
}

}  // namespace
}  // namespace branchy
