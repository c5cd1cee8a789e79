// The table of policies by bandwidth: look-up, the records of the model file, and bad ones.
#include "infer/adapt_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

AdaptTable sample_table() {
  return {{{1e5, "max-probability:0.5+0.5", false},
           {3e5, "max-probability:0.7+0.65", true},
           {1e6, "max-probability:0.95+0.9", true}},
          30.0};
}

ModelInfo info_with_table() {
  ModelInfo info;
  info.temperatures = {1.25F, 1.1F, 0.9F};
  sample_table().store(info);
  return info;
}

TEST(AdaptTable, TakesTheLastRowThatIsNotAboveTheBandwidth) {
  const AdaptTable table = sample_table();
  EXPECT_EQ(table.at(2e4).policy, "max-probability:0.5+0.5") << "slower than any row: the first";
  EXPECT_EQ(table.at(1e5).policy, "max-probability:0.5+0.5");
  EXPECT_EQ(table.at(2.999e5).policy, "max-probability:0.5+0.5");
  EXPECT_EQ(table.at(3e5).policy, "max-probability:0.7+0.65");
  EXPECT_EQ(table.at(1e9).policy, "max-probability:0.95+0.9");
}

TEST(AdaptTable, RefusesABandwidthThatIsNone) {
  const AdaptTable table = sample_table();
  for (const double bad : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    test::expect_error<ConfigError>([&] { (void)table.at(bad); }, {"bandwidth"});
}

TEST(AdaptTable, RecordsAreReadBack) {
  EXPECT_FALSE(AdaptTable::from(ModelInfo{}).has_value());
  const auto table = AdaptTable::from(info_with_table());
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(table->limit_ms(), 30.0);
  const AdaptTable stored = sample_table();
  ASSERT_EQ(table->rows().size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const AdaptRow &row = table->rows()[i], &expected = stored.rows()[i];
    EXPECT_EQ(row.bits_per_second, expected.bits_per_second);
    EXPECT_EQ(row.policy, expected.policy);
    EXPECT_EQ(row.feasible, expected.feasible);
  }
}

TEST(AdaptTable, TravelsInAModelFile) {
  const test::TemporaryDirectory folder;
  Rng rng(1);
  const NetworkConfig config{
      .name = "cnn9", .early_exits = 2, .options = {{"widths", "2,2,4"}, {"exit-after", "3,6"}}};
  const auto network = make_network(config, rng);
  ModelInfo info;
  info.config = network->config();
  info.part = network->whole();
  info.std = {1, 1, 1};
  info.temperatures = {1.1F, 1.7F, 0.3F};
  sample_table().store(info);
  save_model(folder / "model.safetensors", *network, info);
  const LoadedModel loaded = load_model(folder / "model.safetensors");
  const auto table = AdaptTable::from(loaded.info);
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(table->at(5e5).policy, "max-probability:0.7+0.65");
}

TEST(AdaptTable, MalformedRecordsAreRefused) {
  const auto refused = [](const std::string& key, const std::string& value,
                          const std::string& message) {
    ModelInfo info = info_with_table();
    info.records[key] = value;
    test::expect_error<DataError>([&] { (void)AdaptTable::from(info); }, {"adapt", message});
  };
  refused("adapt.table", "", "rows");
  refused("adapt.table", "1e5", "BITS_PER_SECOND POLICY");
  refused("adapt.table", "fast max-probability:0.5", "BITS_PER_SECOND POLICY");
  refused("adapt.table", "1e5 max-probability:0.5 maybe", "BITS_PER_SECOND POLICY");
  refused("adapt.table", "1e5 max-probability:0.5\n\n2e5 max-probability:0.5", "BITS_PER_SECOND");
  refused("adapt.table", "-1 max-probability:0.5", "bandwidth -1");
  refused("adapt.table", "0 max-probability:0.5", "bandwidth 0");
  refused("adapt.table", "nan max-probability:0.5", "BITS_PER_SECOND POLICY");
  refused("adapt.table", "2e5 max-probability:0.5\n1e5 max-probability:0.6", "rising");
  refused("adapt.table", "1e5 max-probability:0.5+0.5+0.5", "max-probability:0.5+0.5+0.5");
  refused("adapt.table", "1e5 guess:0.5", "guess");
  refused("adapt.limit_ms", "0", "limit 0");
  refused("adapt.limit_ms", "soon", "milliseconds");
  refused("adapt.temperatures", "1,1,1", "1,1,1");
  ModelInfo info = info_with_table();
  info.records.erase("adapt.limit_ms");
  test::expect_error<DataError>([&] { (void)AdaptTable::from(info); }, {"adapt.limit_ms"});
}

TEST(AdaptTable, CalibratingAfterwardsMakesItInvalid) {
  ModelInfo info = info_with_table();
  info.temperatures[1] = 1.2F;
  test::expect_error<DataError>([&] { (void)AdaptTable::from(info); },
                                {"1.25,1.1,0.9", "1.25,1.2,0.9", "branchy adapt"});
}

}  // namespace
}  // namespace branchy
