#include <gtest/gtest.h>

#include "tests/data/image_samples.h"
#include "tests/support/mutation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace branchy {
namespace {

TEST(ImageFuzz, MutatedImagesAreDecodedOrRefused) {
  test::replay_mutations({test::sample_ppm(), test::sample_pgm(), test::sample_bmp(),
                          test::sample_png(), test::sample_jpeg()},
                         2'000, LLVMFuzzerTestOneInput);
}

TEST(ImageFuzz, KeptInputsAreStillHandled) {
  EXPECT_GT(test::replay_corpus(BRANCHY_CORPUS, LLVMFuzzerTestOneInput), 20);
}

}  // namespace
}  // namespace branchy
