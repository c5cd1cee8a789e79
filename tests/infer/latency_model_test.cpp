// Eq. (11) against the worked values of the paper, and measured times from their file.
#include "infer/latency_model.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

constexpr double kMbit = 1e6;
constexpr double kPaperSpeed = 3.62e9;  // operations a second (Dong et al., section V-C)

/// VGG16-BN for CIFAR-100, made once: it has 34 million weights.
const ExitCosts& vgg_costs() {
  static const ExitCosts kCosts = [] {
    Rng rng(1);
    return exit_costs(*make_network({.name = "vgg16_bn", .classes = 100, .early_exits = 2}, rng));
  }();
  return kCosts;
}

LatencyModel vgg_model() {
  LatencyModel model;
  model.parts = part_times(vgg_costs(), kPaperSpeed);
  model.sent_bytes = 2048;
  return model;
}

TEST(LatencyModel, SendingTakesWhatThePaperSays) {
  // experiments/reference/dong_2022.json, dong-send: 16,384 bits
  const std::pair<double, double> rows[] = {
      {0.1, 163.84}, {0.3, 54.613}, {0.5, 32.768}, {0.7, 23.406}, {1, 16.384},
      {3, 5.461},    {5, 3.277},    {7, 2.341},    {10, 1.638},   {30, 0.546},
      {50, 0.328},   {70, 0.234},   {100, 0.164}};
  const LatencyModel model = vgg_model();
  for (const auto& [mbit, ms] : rows)
    EXPECT_NEAR(model.sending_ms(mbit * kMbit), ms, 5e-4) << mbit << " Mbit/s";
}

TEST(LatencyModel, DeviceTakesWhatThePaperSays) {
  // dong-device: VGG16-BN, CIFAR-100
  const PartTimes parts = vgg_model().parts;
  EXPECT_NEAR(parts.trunk[0] + parts.exit[0], 5.359, 5e-4);
  EXPECT_NEAR(parts.trunk[0] + parts.trunk[1], 16.284, 5e-4);
  EXPECT_NEAR(parts.trunk[0] + parts.exit[0] + parts.trunk[1] + parts.exit[1], 25.134, 5e-4);
}

TEST(LatencyModel, BackboneNeedsThirtyMillisecondsAtThePrintedBandwidth) {
  // dong-30ms: 1.195 Mbit/s without the encoder, 1.220 with it (0.291 ms)
  LatencyModel model = vgg_model();
  const double device_ms = model.parts.trunk[0] + model.parts.trunk[1];
  EXPECT_NEAR(model.mean_ms(device_ms, 1.0, 1.1945 * kMbit), 30.0, 0.01);
  model.parts.encoder = 0.291;
  EXPECT_NEAR(model.mean_ms(device_ms, 1.0, 1.2205 * kMbit), 30.0, 0.01);
}

TEST(LatencyModel, OnlySentSamplesPayForTheServer) {
  LatencyModel model;
  model.parts.encoder = 2;
  model.sent_bytes = 1000;
  model.round_trip_ms = 4;
  model.server_ms = 3;
  EXPECT_DOUBLE_EQ(model.sending_ms(1 * kMbit), 2 + 8 + 4 + 3);
  EXPECT_DOUBLE_EQ(model.mean_ms(10, 0.25, 1 * kMbit), 10 + 0.25 * 17);
  EXPECT_DOUBLE_EQ(model.mean_ms(10, 0.0, 1 * kMbit), 10);
}

TEST(LatencyModel, RefusesBandwidthsAndSpeedsThatAreNone) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const LatencyModel model = vgg_model();
  for (const double bad : {0.0, -1.0, nan, inf}) {
    test::expect_error<ConfigError>([&] { (void)model.sending_ms(bad); }, {"bandwidth"});
    test::expect_error<ConfigError>([&] { (void)part_times(vgg_costs(), bad); }, {"device speed"});
  }
  LatencyModel broken = model;
  broken.round_trip_ms = -1;
  test::expect_error<ConfigError>([&] { broken.validate(); }, {"round trip", "-1"});
  broken = model;
  broken.sent_bytes = nan;
  test::expect_error<ConfigError>([&] { broken.validate(); }, {"bytes sent", "nan"});
}

LayerTimes measured() {
  LayerTimes times;
  times.network = "resnet44";
  times.classes = 10;
  times.early_exits = 2;
  times.runs = 20;
  times.blocks = {{"stem", 0.25}, {"layer1.0", 0.5}};
  times.trunk = {{1, 0.75}, {2, 3.5}};
  times.exits = {{1, 0.4}, {2, 0.3}};
  times.predictor = 0.1;
  return times;
}

TEST(LayerTimes, TextIsReadBack) {
  const LayerTimes written = measured();
  const LayerTimes read = parse_layer_times(to_json(written), "times");
  EXPECT_EQ(read.network, "resnet44");
  EXPECT_EQ(read.runs, 20);
  EXPECT_FALSE(read.cpu.empty());
  EXPECT_GE(read.threads, 1);
  ASSERT_EQ(read.blocks.size(), 2U);
  EXPECT_EQ(read.blocks[1].name, "layer1.0");
  EXPECT_EQ(read.blocks[1].ms, 0.5);
  EXPECT_EQ(read.trunk, written.trunk);
  EXPECT_EQ(read.exits, written.exits);
  EXPECT_EQ(read.predictor, 0.1);
  EXPECT_FALSE(read.encoder.has_value());
}

TEST(LayerTimes, BecomeTimesOfTheDevicesParts) {
  const PartTimes parts = part_times(measured(), "resnet44", 3);
  EXPECT_EQ(parts.trunk, (std::vector<double>{0.75, 3.5, 0.0}));
  EXPECT_EQ(parts.exit, (std::vector<double>{0.4, 0.3, 0.0}));
  EXPECT_EQ(parts.predictor, 0.1);
  EXPECT_EQ(parts.encoder, 0.0);
  test::expect_error<ConfigError>([] { (void)part_times(measured(), "alexnet", 3); },
                                  {"resnet44", "alexnet"});
  test::expect_error<ConfigError>([] { (void)part_times(measured(), "resnet44", 4); },
                                  {"2 early exits"});
  LayerTimes lacking = measured();
  lacking.exits.erase(2);
  test::expect_error<ConfigError>([&] { (void)part_times(lacking, "resnet44", 3); }, {"exit 2"});
}

TEST(LayerTimes, MalformedTextIsRefused) {
  const auto refused = [](const std::string& text, const std::string& message) {
    test::expect_error<DataError>([&] { (void)parse_layer_times(text, "times.json"); },
                                  {"times.json", message});
  };
  const std::string good = to_json(measured());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  refused("", "parse error");
  refused("[]", "branchy-edge --measure");
  refused("{\"format\": \"other\"}", "branchy-edge --measure");
  refused(good.substr(0, good.size() / 2), "parse error");
  refused(with("0.75", "-1"), "trunk of exit 1 is -1");
  refused(with("0.75", "\"fast\""), "is no number");
  refused(with("\"exit\": 2", "\"exit\": 1"), "twice");
  refused(with("\"exit\": 1", "\"exit\": 0"), "exits from 1");
  refused(with("\"blocks\"", "\"bricks\""), "blocks");
  refused(with("\"predictor_ms\": 0.1", "\"predictor_ms\": -0.1"), "predictor_ms");
  const test::TemporaryDirectory folder;
  test::expect_error<IoError>([&] { (void)load_layer_times(folder / "none.json"); }, {"none.json"});
}

}  // namespace
}  // namespace branchy
