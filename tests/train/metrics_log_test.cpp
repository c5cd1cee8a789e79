#include "train/metrics_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

StepMetrics step(std::int64_t number) {
  return {.epoch = 1 + (number - 1) / 2,
          .step = number,
          .rate = 0.1,
          .loss = 1.5,
          .exit_losses = {2.0, 1.0}};
}

EpochMetrics epoch(std::int64_t number, std::int64_t last_step) {
  EpochMetrics metrics;
  metrics.epoch = number;
  metrics.step = last_step;
  metrics.train_accuracy = {0.25, 0.5};
  metrics.val_accuracy = {0.125, 0.75};
  return metrics;
}

std::int64_t count_lines(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

TEST(MetricsLog, DropsWhatIsNewerThanTheCheckpointAndATornLine) {
  const test::TemporaryDirectory folder;
  {
    MetricsLog log(folder.path(), 0, 2);
    for (std::int64_t i = 1; i <= 4; ++i) {
      log.append(step(i));
      if (i % 2 == 0) log.append(epoch(i / 2, i));
    }
  }
  {
    std::ofstream torn(folder.path() / "metrics.jsonl", std::ios::app);
    torn << R"({"type":"step","step":3)";
  }
  MetricsLog resumed(folder.path(), 3, 2);
  const std::string jsonl = test::read_text(folder.path() / "metrics.jsonl");
  EXPECT_EQ(count_lines(jsonl), 4) << jsonl;  // steps 1 2 3 and epoch 1
  EXPECT_EQ(jsonl.find("\"step\":4"), std::string::npos);
  const std::string csv = test::read_text(folder.path() / "metrics.csv");
  EXPECT_EQ(count_lines(csv), 2) << csv;  // header and epoch 1
  resumed.append(epoch(2, 4));
  EXPECT_EQ(count_lines(test::read_text(folder.path() / "metrics.csv")), 3);
}

TEST(MetricsLog, CsvRowsHaveAsManyFieldsAsTheHeader) {
  const test::TemporaryDirectory folder;
  MetricsLog log(folder.path(), 0, 2);
  log.append(epoch(1, 2));
  EpochMetrics without_validation = epoch(2, 4);
  without_validation.val_accuracy.clear();
  log.append(without_validation);
  std::ifstream csv(folder.path() / "metrics.csv");
  std::int64_t fields = -1;
  for (std::string line; std::getline(csv, line);) {
    const std::int64_t commas = std::count(line.begin(), line.end(), ',');
    if (fields >= 0) {
      EXPECT_EQ(commas, fields) << line;
    }
    fields = commas;
  }
  EXPECT_EQ(fields, 11);
}

}  // namespace
}  // namespace branchy
