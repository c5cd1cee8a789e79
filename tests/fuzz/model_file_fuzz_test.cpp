#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "infer/adapt_table.h"
#include "infer/codec_record.h"
#include "infer/int8_ranges.h"
#include "infer/model.h"
#include "infer/policies/policy_record.h"
#include "tests/support/mutation.h"
#include "tests/support/small_model.h"
#include "tests/support/temporary_directory.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace branchy {
namespace {

// A model's description with every record, before a few bytes of a tensor.
test::Bytes described(const ModelInfo& info) {
  nlohmann::json header = {{"w", {{"dtype", "F32"}, {"shape", {2}}, {"data_offsets", {0, 8}}}},
                           {"__metadata__", to_metadata(info)}};
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  test::Bytes bytes(sizeof length + text.size() + 8, 0x3F);
  std::memcpy(bytes.data(), &length, sizeof length);
  std::memcpy(bytes.data() + sizeof length, text.data(), text.size());
  return bytes;
}

ModelInfo with_records() {
  ModelInfo info = test::small_model(false).info;
  info.temperatures = {1.5F, 1.25F, 0.75F};
  info.class_names = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
  info.cut = "block5";
  write_policy_record(
      info, {.text = "p-tar:0.8,active=1+2",
             .choice = "risk",
             .select_on = "val",
             .data_checksum = "abc",
             .cache_digest = "def",
             .temperatures = info.temperatures,
             .promise = RiskPromise{
                 .epsilon = 0.01, .delta = 0.05, .samples = 5000, .errors = 38, .bound = 0.0098}});
  AdaptTable({{.bits_per_second = 1e5, .policy = "predictor:0.9+0.85,gamma=0.5+0.4"},
              {.bits_per_second = 1e7, .policy = "max-probability:0.9", .feasible = false}},
             30.0)
      .store(info);
  write_record(CodecRecord{.cut = "block5",
                           .scale = 3.5F,
                           .frequencies = {},
                           .device_digest = "0123",
                           .feature_min = 0.0F,
                           .feature_max = 4.0F},
               info);
  info.records[std::string(kInt8RangesRecord)] =
      to_text({{{false, 0, 1}, {0.0F, 2.5F}}, {{true, 2, 0}, {-1.0F, 0.75F}}});
  return info;
}

TEST(ModelFileFuzz, MutatedDescriptionsAreReadOrRefused) {
  test::replay_mutations({described(test::small_model(false).info), described(with_records())},
                         20'000, LLVMFuzzerTestOneInput);
}

TEST(ModelFileFuzz, DamagedFilesAreServedOrRefused) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "model.safetensors";
  test::save(test::small_model(true), path);
  std::ifstream in(path, std::ios::binary);
  const test::Bytes whole{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  Rng rng(5);
  int num_refused = 0;
  for (int i = 0; i < 200; ++i) {
    const test::Bytes damaged = test::mutated(whole, rng);
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(damaged.data()), std::ssize(damaged));
    try {
      (void)load_served_model(path);
    } catch (const Error&) {
      ++num_refused;
    }
  }
  EXPECT_GT(num_refused, 50);
}

TEST(ModelFileFuzz, KeptInputsAreStillHandled) {
  EXPECT_GT(test::replay_corpus(BRANCHY_CORPUS, LLVMFuzzerTestOneInput), 20);
}

}  // namespace
}  // namespace branchy
