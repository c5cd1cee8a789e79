#include "infer/policies/policy_record.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

PolicyRecord chosen() {
  return {
      .text = "max-probability:0.9",
      .choice = "risk",
      .select_on = "val",
      .data_checksum = "abc",
      .cache_digest = "def",
      .subset = "2/2",
      .temperatures = {1.1F, 0.9F, 1.0F},
      .promise = RiskPromise{
          .epsilon = 0.01, .delta = 0.05, .samples = 5000, .errors = 38, .bound = 0.00987654321}};
}

TEST(PolicyRecord, ReadsWhatWasWritten) {
  ModelInfo info;
  EXPECT_FALSE(read_policy_record(info));
  write_policy_record(info, chosen());
  for (const auto& [key, value] : info.records) EXPECT_TRUE(is_record_key(key)) << key;
  const auto record = read_policy_record(info);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->text, "max-probability:0.9");
  EXPECT_EQ(record->choice, "risk");
  EXPECT_EQ(record->select_on, "val");
  EXPECT_EQ(record->data_checksum, "abc");
  EXPECT_EQ(record->cache_digest, "def");
  EXPECT_EQ(record->subset, "2/2");
  EXPECT_EQ(record->temperatures, (std::vector<float>{1.1F, 0.9F, 1.0F}));
  ASSERT_TRUE(record->promise);
  EXPECT_EQ(record->promise->epsilon, 0.01);
  EXPECT_EQ(record->promise->delta, 0.05);
  EXPECT_EQ(record->promise->samples, 5000);
  EXPECT_EQ(record->promise->errors, 38);
  EXPECT_EQ(record->promise->bound, 0.00987654321);
}

TEST(PolicyRecord, NewOneReplacesTheOldOneAlone) {
  ModelInfo info;
  info.records["calibration.method"] = "all";
  write_policy_record(info, chosen());
  write_policy_record(info, {.text = "p-tar:0.8",
                             .choice = "budget",
                             .select_on = "test",
                             .data_checksum = "x",
                             .cache_digest = "y",
                             .subset = "1/1"});
  const auto record = read_policy_record(info);
  EXPECT_EQ(record->text, "p-tar:0.8");
  EXPECT_FALSE(record->promise);  // no promise is left of another policy
  EXPECT_TRUE(record->temperatures.empty());
  EXPECT_EQ(record->subset, "1/1");
  EXPECT_EQ(info.records.at("calibration.method"), "all");
}

TEST(PolicyRecord, TellsOtherTemperatures) {
  ModelInfo info;
  PolicyRecord record = chosen();
  EXPECT_FALSE(same_temperatures(record, info));
  info.temperatures = {1.1F, 0.9F, 1.0F};
  EXPECT_TRUE(same_temperatures(record, info));
  info.temperatures = {1.1F, 0.9F, 1.5F};
  EXPECT_FALSE(same_temperatures(record, info));
  record.temperatures = {1.0F, 1.0F, 1.0F};
  info.temperatures = {};  // an uncalibrated model has 1 everywhere
  EXPECT_TRUE(same_temperatures(record, info));
}

TEST(PolicyRecord, DamagedRecordsAreRefusedByKey) {
  const auto refused = [](const char* key, const char* value) {
    ModelInfo info;
    write_policy_record(info, chosen());
    if (value == nullptr)
      info.records.erase(key);
    else
      info.records[key] = value;
    test::expect_error<DataError>([&] { (void)read_policy_record(info); }, {key});
  };
  refused("policy.choice", nullptr);
  refused("policy.promise.delta", nullptr);
  refused("policy.promise.epsilon", "1.5");
  refused("policy.promise.epsilon", "nan");
  refused("policy.promise.bound", "0.1x");
  refused("policy.promise.samples", "0");
  refused("policy.promise.errors", "5001");
  refused("policy.temperatures", "1,-1,1");
  refused("policy.temperatures", "1,,1");
}

}  // namespace
}  // namespace branchy
