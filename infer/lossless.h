// LosslessCoder: the quantised levels of a code in fewer bytes, exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "infer/codec_record.h"

namespace branchy {

/// Codes of a fixed number of levels. 1. A code as long as the packed levels holds them as they are
/// (pack_levels()). 2. A shorter one is a CRC-16 of the packed levels (little-endian) and then a
/// zstd frame of them, or the output of the range coder over the levels. 3. None is longer.
class LosslessCoder {
 public:
  /// `count` levels of `record.bits` bits, as many channels as `record.frequencies` in equal
  /// shares (the caller has checked).
  LosslessCoder(const CodecRecord& record, std::int64_t count);
  ~LosslessCoder();
  LosslessCoder(LosslessCoder&&) noexcept;
  LosslessCoder& operator=(LosslessCoder&&) noexcept;

  [[nodiscard]] std::vector<std::byte> encode(std::span<const std::uint8_t> levels) const;
  /// Throws DataError for bytes that no encoder of this kind wrote: too many, cut off, damaged.
  [[nodiscard]] std::vector<std::uint8_t> decode(std::span<const std::byte> code) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
