#include <gtest/gtest.h>

#include <cstring>
#include <string_view>

#include "tests/support/mutation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace branchy {
namespace {

test::Bytes file_of(std::string_view header, std::size_t buffer_bytes) {
  const std::uint64_t length = header.size();
  test::Bytes bytes(sizeof(length) + header.size() + buffer_bytes, 0x3F);
  std::memcpy(bytes.data(), &length, sizeof(length));
  std::memcpy(bytes.data() + sizeof(length), header.data(), header.size());
  return bytes;
}

TEST(SafetensorsFuzz, MutatedFilesAreParsedOrRefused) {
  const std::vector<test::Bytes> seeds = {
      file_of("{}      ", 0),
      file_of(R"({"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}})", 24),
      file_of(R"({"__metadata__":{"format":"pt","é":"\u00e9\n"},)"
              R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
              R"("b":{"shape":[],"data_offsets":[8,16],"dtype":"I64"},)"
              R"("c":{"dtype":"U8","shape":[0,3],"data_offsets":[16,16]}})",
              16),
  };
  test::replay_mutations(seeds, 20'000, LLVMFuzzerTestOneInput);
}

TEST(SafetensorsFuzz, KeptInputsAreStillHandled) {
  EXPECT_GT(test::replay_corpus(BRANCHY_CORPUS, LLVMFuzzerTestOneInput), 20);
}

}  // namespace
}  // namespace branchy
