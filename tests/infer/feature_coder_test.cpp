// Quantiser, packing, lossless stages, and the coder that the edge and the cloud run.
#include "infer/feature_coder.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "infer/range_coder.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/randomize.h"

namespace branchy {
namespace {

using Bytes = std::vector<std::byte>;
using Levels = std::vector<std::uint8_t>;

TEST(FeatureQuantizer, RoundsHalvesToEvenAndClamps) {
  const FeatureQuantizer quantizer(4, 15.0F);  // step 1
  const std::vector<float> values{0.5F,  1.5F,  2.5F,     -3.0F, 14.49F,
                                  14.5F, 99.0F, INFINITY, NAN,   -INFINITY};
  EXPECT_EQ(quantizer.quantize(values), (Levels{0, 2, 2, 0, 14, 14, 15, 15, 0, 0}));
  const FeatureQuantizer fine(8, 255.0F);
  EXPECT_EQ(fine.quantize(std::vector<float>{254.5F, 253.5F, 255.5F, 0.49F}),
            (Levels{254, 254, 255, 0}));
}

TEST(FeatureQuantizer, LosesAtMostHalfAStepWithinTheScale) {
  for (const std::int64_t bits : {8, 4}) {
    const FeatureQuantizer quantizer(bits, 3.7F);
    std::vector<float> values(1000);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = 3.7F * static_cast<float>(i) / 999.0F;
    std::vector<float> back(values.size());
    quantizer.dequantize(quantizer.quantize(values), back);
    const double half = 3.7 / static_cast<double>(quantizer.num_levels() - 1) / 2.0;
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(back[i], values[i], half * 1.0001) << bits;
    EXPECT_FLOAT_EQ(back.back(), 3.7F);
  }
}

TEST(FeatureQuantizer, RefusesBitsAndScales) {
  test::expect_error<ConfigError>([] { FeatureQuantizer(5, 1.0F); }, {"5 bits", "8 or 4"});
  for (const float scale : {0.0F, -1.0F, NAN, INFINITY})
    test::expect_error<ConfigError>([&] { FeatureQuantizer(8, scale); }, {"scale", "above 0"});
}

TEST(FeatureQuantizer, PacksTwoLevelsInAByte) {
  const Levels levels{1, 2, 15, 0, 7};
  const Bytes packed = pack_levels(levels, 4);
  EXPECT_EQ(packed, (Bytes{std::byte{0x21}, std::byte{0x0F}, std::byte{0x07}}));
  EXPECT_EQ(unpack_levels(packed, 5, 4), levels);
  EXPECT_EQ(unpack_levels(pack_levels(levels, 8), 5, 8), levels);
  test::expect_error<DataError>([&] { static_cast<void>(unpack_levels(packed, 7, 4)); },
                                {"3 bytes", "expected 4"});
  test::expect_error<DataError>([&] { static_cast<void>(unpack_levels(packed, 3, 8 / 2)); },
                                {"3 bytes", "expected 2"});
  Bytes damaged = packed;
  damaged.back() |= std::byte{0x10};
  test::expect_error<DataError>([&] { static_cast<void>(unpack_levels(damaged, 5, 4)); },
                                {"unused half"});
}

TEST(RangeCoder, FrequenciesSumAndLeaveNoLevelOut) {
  for (const std::vector<std::uint64_t>& counts :
       {std::vector<std::uint64_t>(256, 0), std::vector<std::uint64_t>{1'000'000'000, 0, 0, 1},
        std::vector<std::uint64_t>{7}, std::vector<std::uint64_t>(16, 3)}) {
    const auto frequencies = to_frequencies(counts);
    EXPECT_EQ(std::accumulate(frequencies.begin(), frequencies.end(), std::uint64_t{0}),
              kFrequencySum);
    for (const std::uint32_t frequency : frequencies) EXPECT_GE(frequency, 1U);
  }
}

/// Two channels: one nearly always 0, the other spread.
std::vector<std::vector<std::uint32_t>> two_tables() {
  std::vector<std::uint64_t> sharp(16, 1);
  sharp[0] = 4000;
  std::vector<std::uint64_t> flat(16, 5);
  return {to_frequencies(sharp), to_frequencies(flat)};
}

TEST(RangeCoder, GivesLevelsBackInAlmostTheirEntropy) {
  Rng rng(3);
  constexpr std::size_t kHalf = 2000;
  const auto tables = two_tables();
  const RangeCoder coder(tables, 2 * kHalf);
  for (int round = 0; round < 20; ++round) {
    Levels levels(2 * kHalf);
    for (std::size_t i = 0; i < kHalf; ++i) {
      if (rng.next_u64() % 200 == 0) levels[i] = static_cast<std::uint8_t>(rng.next_u64() % 16);
      levels[kHalf + i] = static_cast<std::uint8_t>(rng.next_u64() % 16);
    }
    double bits = 0.0;
    for (std::size_t i = 0; i < levels.size(); ++i)
      bits -= std::log2(static_cast<double>(tables[i / kHalf][levels[i]]) / kFrequencySum);
    const Bytes code = coder.encode(levels);
    EXPECT_LE(static_cast<double>(code.size()), bits / 8.0 * 1.002 + 2.0);
    EXPECT_GE(static_cast<double>(code.size()), bits / 8.0 - 1.0);
    EXPECT_EQ(coder.decode(code), levels);
  }
  // The rarest levels alone, which carry through long runs of 0xFF, and the commonest.
  for (const int level : {0, 1, 15}) {
    const Levels levels(2 * kHalf, static_cast<std::uint8_t>(level));
    EXPECT_EQ(coder.decode(coder.encode(levels)), levels);
  }
}

class FeatureCoderTest : public ::testing::TestWithParam<std::tuple<int, LosslessStage>> {
 protected:
  FeatureCoderTest() {
    Rng rng(5);
    attachment_ = whole_attachment(
        make_network({.name = "feature_codec",
                      .early_exits = 0,
                      .options = {{"channels", "6"}, {"size", "8"}, {"code", "3"}}},
                     rng));
    test::randomize(attachment_.network->state());
    for (const StateEntry& entry : attachment_.network->state())  // variances stay above 0
      if (entry.name.ends_with("running_var"))
        for (float& value : entry.variable->mutable_value().mutable_data()) value = 0.8F;
    info_.records["codec.other"] = "kept";
    CodecRecord record{.cut = "layer1.0",
                       .bits = std::get<0>(GetParam()),
                       .scale = 4.0F,
                       .lossless = std::get<1>(GetParam()),
                       .frequencies = {},
                       .device_digest = "0"};
    std::vector<std::uint64_t> counts(std::size_t{1} << static_cast<unsigned>(record.bits), 1);
    counts[0] = 500;
    record.frequencies.assign(3, to_frequencies(counts));
    write_record(record, info_);
  }

  [[nodiscard]] static Tensor features(std::int64_t count) {
    Rng rng(7);
    Tensor tensor(Shape{count, 6, 8, 8});
    for (float& value : tensor.mutable_data())
      value = std::max(0.0F, static_cast<float>(rng.next_u64() % 1000) / 500.0F - 1.0F);
    return tensor;
  }

  Attachment attachment_;
  ModelInfo info_;
};

TEST_P(FeatureCoderTest, RecordsAreReadBack) {
  const CodecRecord record = read_codec_record(info_);
  EXPECT_EQ(record.cut, "layer1.0");
  EXPECT_EQ(record.bits, std::get<0>(GetParam()));
  EXPECT_EQ(record.scale, 4.0F);
  EXPECT_EQ(record.lossless, std::get<1>(GetParam()));
  ASSERT_EQ(record.frequencies.size(), 3U);
  EXPECT_EQ(std::accumulate(record.frequencies[2].begin(), record.frequencies[2].end(), 0U),
            kFrequencySum);
}

TEST_P(FeatureCoderTest, TwoSidesGiveTheFeatureThatTheWholeCodecGives) {
  Attachment edge = attachment_;
  edge.part = encoder_part();
  Attachment cloud = attachment_;
  cloud.part = decoder_part();
  FeatureCoder encoder(edge, info_);
  FeatureCoder decoder(cloud, info_);
  EXPECT_TRUE(encoder.can_encode() && !encoder.can_decode());
  EXPECT_TRUE(decoder.can_decode() && !decoder.can_encode());
  EXPECT_EQ(encoder.code_shape(), (Shape{1, 3, 4, 4}));
  EXPECT_EQ(encoder.max_bytes(), std::get<0>(GetParam()) == 8 ? 48 : 24);
  // What should come out: the training graph in evaluation mode, quantised in between.
  const NoGradGuard guard;
  const FeatureQuantizer quantizer(std::get<0>(GetParam()), 4.0F);
  const Tensor all = features(5);
  const auto codes = encoder.encode_all(all);
  const Tensor decoded = decoder.decode_all(codes);
  ASSERT_EQ(decoded.shape(), all.shape());
  for (std::int64_t i = 0; i < 5; ++i) {
    Tensor one(Shape{1, 6, 8, 8});
    const auto size = static_cast<std::size_t>(one.size());
    std::copy_n(all.data().begin() + i * one.size(), size, one.mutable_data().begin());
    const auto code = encoder.encode(one);
    EXPECT_EQ(code, codes[static_cast<std::size_t>(i)]) << "batch and single differ";
    EXPECT_LE(std::ssize(code), encoder.max_bytes());
    const Tensor back = decoder.decode(code);
    Tensor values =
        attachment_.network->blocks()[0].layer->forward(Variable(one), {}).value().clone();
    quantizer.dequantize(quantizer.quantize(values.data()), values.mutable_data());
    const Tensor wanted = attachment_.network->exit(1).layer->forward(Variable(values), {}).value();
    for (std::size_t k = 0; k < size; ++k)
      ASSERT_NEAR(back.data()[k], wanted.data()[k], 1e-4F + 1e-4F * std::abs(wanted.data()[k]));
  }
  test::expect_error<ShapeError>([&] { static_cast<void>(encoder.encode(all)); },
                                 {"[5,6,8,8]", "[1,6,8,8]"});
  test::expect_error<ConfigError>([&] { static_cast<void>(encoder.decode(codes[0])); },
                                  {"no decoder"});
  test::expect_error<ConfigError>([&] { static_cast<void>(decoder.encode_all(all)); },
                                  {"no encoder"});
}

TEST_P(FeatureCoderTest, RefusesDamagedCodes) {
  FeatureCoder coder(attachment_, info_);
  const Tensor all = features(8);
  for (const Bytes& code : coder.encode_all(all)) {
    Bytes longer = code;
    longer.resize(static_cast<std::size_t>(coder.max_bytes()) + 1);
    EXPECT_THROW(static_cast<void>(coder.decode(longer)), DataError);
    EXPECT_THROW(static_cast<void>(coder.decode(Bytes(1 << 20))), DataError);
    EXPECT_THROW(static_cast<void>(coder.decode({})), DataError);
    for (std::size_t size = 0; size < code.size(); ++size)
      EXPECT_THROW(static_cast<void>(coder.decode(std::span(code).first(size))), DataError) << size;
    if (std::ssize(code) == coder.max_bytes()) continue;  // plain levels: any value is one
    for (std::size_t at = 0; at < code.size(); ++at) {
      Bytes damaged = code;
      damaged[at] ^= std::byte{0x40};
      EXPECT_THROW(static_cast<void>(coder.decode(damaged)), DataError) << at;
    }
  }
}

TEST_P(FeatureCoderTest, RefusesAnotherCutAndWrongRecords) {
  ModelInfo cut = info_;
  cut.cut = "layer2.0";
  test::expect_error<ConfigError>([&] { FeatureCoder(attachment_, cut); },
                                  {"layer1.0", "layer2.0"});
  cut.cut = "layer1.0";
  EXPECT_NO_THROW(FeatureCoder(attachment_, cut));
  const Attachments attachments{{std::string(kCodecAttachment), attachment_}};
  EXPECT_NO_THROW(require_codec_cut(info_, attachments, "layer1.0"));
  EXPECT_NO_THROW(require_codec_cut(info_, {}, "layer2.0"));
  test::expect_error<ConfigError>([&] { require_codec_cut(info_, attachments, "layer2.0"); },
                                  {"layer1.0", "layer2.0"});
  const std::map<std::string, std::string> wrong{
      {"codec.bits", "3"},         {"codec.bits", "x"},         {"codec.scale", "0"},
      {"codec.scale", "nan"},      {"codec.lossless", "gzip"},  {"codec.frequencies", "65536\n1"},
      {"codec.frequencies", "-1"}, {"codec.feature_range", "1"}};
  for (const auto& [key, value] : wrong) {
    ModelInfo info = info_;
    info.records[key] = value;
    test::expect_error<DataError>([&] { FeatureCoder(attachment_, info); }, {key});
    info.records.erase(key);
    test::expect_error<DataError>([&] { FeatureCoder(attachment_, info); }, {key, "missing"});
  }
}

INSTANTIATE_TEST_SUITE_P(Codes, FeatureCoderTest,
                         ::testing::Combine(::testing::Values(8, 4),
                                            ::testing::Values(LosslessStage::kNone,
                                                              LosslessStage::kZstd,
                                                              LosslessStage::kRange)),
                         [](const auto& instance) {
                           return std::string(to_string(std::get<1>(instance.param))) +
                                  std::to_string(std::get<0>(instance.param));
                         });

TEST(FeatureCoder, TakesOddMapsWithStrideOne) {
  Rng rng(5);
  for (const std::string kernel : {"1", "3"}) {
    const auto network = make_network({.name = "feature_codec",
                                       .early_exits = 0,
                                       .options = {{"channels", "4"},
                                                   {"size", "7"},
                                                   {"code", "3"},
                                                   {"stride", "1"},
                                                   {"kernel", kernel},
                                                   {"output", "linear"}}},
                                      rng);
    EXPECT_EQ(network->feature_shape(1), (Shape{1, 3, 7, 7}));
    EXPECT_EQ(network->exit(1).layer->output_shape(network->feature_shape(1)), (Shape{1, 4, 7, 7}));
  }
  test::expect_error<ConfigError>(
      [&] {
        static_cast<void>(make_network({.name = "feature_codec",
                                        .early_exits = 0,
                                        .options = {{"stride", "1"}, {"kernel", "2"}}},
                                       rng));
      },
      {"kernel", "1 or 3"});
}

}  // namespace
}  // namespace branchy
