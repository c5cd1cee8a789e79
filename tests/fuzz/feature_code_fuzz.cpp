// Fuzz target: the first byte chooses stage and bits, the rest is a code, which either decodes to
// levels in range, in the stated number, or is refused by DataError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/error.h"
#include "infer/lossless.h"
#include "infer/range_coder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::int64_t kCount = 96;
  if (size == 0) return 0;
  branchy::CodecRecord record{.cut = {}, .bits = (data[0] & 1U) != 0 ? 8 : 4};
  const auto levels = std::size_t{1} << static_cast<unsigned>(record.bits);
  std::vector<std::uint64_t> counts(levels, 1);
  counts[0] = 300;
  record.frequencies.assign(3, branchy::to_frequencies(counts));
  record.lossless = static_cast<branchy::LosslessStage>(data[0] / 2 % 3);
  const branchy::LosslessCoder coder(record, kCount);
  try {
    const auto decoded = coder.decode(std::as_bytes(std::span(data, size).subspan(1)));
    if (decoded.size() != kCount) std::abort();
    for (const std::uint8_t level : decoded)
      if (level >= levels) std::abort();
    // What a decoder accepts, an encoder can say again.
    if (coder.decode(coder.encode(decoded)) != decoded) std::abort();
  } catch (const branchy::DataError&) {
  }
  return 0;
}
