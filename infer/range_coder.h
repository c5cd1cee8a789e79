// Range coder with static tables, one for each channel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace branchy {

/// Frequencies of a table sum to this.
inline constexpr std::uint32_t kFrequencySum = 1U << 16U;

/// Frequencies in proportion to `occurrences`, at least 1 each, summing to kFrequencySum. All
/// equal without any occurrence. `occurrences` has 1 to 256 entries, their sum below 2^47.
[[nodiscard]] std::vector<std::uint32_t> to_frequencies(std::span<const std::uint64_t> occurrences);

/// Codes sequences of a fixed number of levels whose channels follow each other in equal shares
/// (Martin 1979; 32 bits with carry and output by bytes, as in LZMA). The output ends with the one
/// byte that settles the last interval; zero bytes at its end are left out and read as such.
class RangeCoder {
 public:
  /// `frequencies` [channels][levels], as to_frequencies() gives; `count` is a multiple of the
  /// channels.
  RangeCoder(const std::vector<std::vector<std::uint32_t>>& frequencies, std::int64_t count);

  [[nodiscard]] std::vector<std::byte> encode(std::span<const std::uint8_t> levels) const;
  /// Nothing when no encode() gave these bytes and that shows: a place outside all intervals, or
  /// bytes left over. Never reads outside `code`; a code that is cut off may decode to wrong
  /// levels, hence the checksum of LosslessCoder.
  [[nodiscard]] std::optional<std::vector<std::uint8_t>> decode(
      std::span<const std::byte> code) const;

 private:
  using Cumulative = std::vector<std::uint32_t>;  // sum of the frequencies below each level, total
  [[nodiscard]] const Cumulative& table(std::size_t index) const {
    return tables_[index / channel_size_];
  }

  std::vector<Cumulative> tables_;
  std::size_t count_, channel_size_;
};

}  // namespace branchy
