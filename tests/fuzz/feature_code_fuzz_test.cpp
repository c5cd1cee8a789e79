#include <gtest/gtest.h>

#include <vector>

#include "infer/lossless.h"
#include "infer/range_coder.h"
#include "tests/support/mutation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace branchy {
namespace {

TEST(FeatureCodeFuzz, MutatedCodesAreDecodedOrRefused) {
  std::vector<test::Bytes> seeds;
  for (std::uint8_t choice = 0; choice < 6; ++choice) {
    CodecRecord record{.cut = {},
                       .bits = choice % 2 == 1 ? 8 : 4,
                       .lossless = static_cast<LosslessStage>(choice / 2)};
    std::vector<std::uint64_t> counts(std::size_t{1} << static_cast<unsigned>(record.bits), 1);
    counts[0] = 300;
    record.frequencies.assign(3, to_frequencies(counts));
    std::vector<std::uint8_t> levels(96);
    levels[5] = 3;
    levels[60] = 15;
    test::Bytes seed{choice};
    for (const std::byte byte : LosslessCoder(record, 96).encode(levels))
      seed.push_back(std::to_integer<std::uint8_t>(byte));
    seeds.push_back(seed);
  }
  test::replay_mutations(seeds, 20'000, LLVMFuzzerTestOneInput);
}

TEST(FeatureCodeFuzz, KeptInputsAreStillHandled) {
  EXPECT_GT(test::replay_corpus(BRANCHY_CORPUS, LLVMFuzzerTestOneInput), 20);
}

}  // namespace
}  // namespace branchy
