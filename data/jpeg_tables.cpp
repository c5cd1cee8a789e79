#include "data/jpeg_tables.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>

namespace branchy {

namespace {

using Segment = std::span<const std::uint8_t>;

constexpr std::uint8_t kProgressiveFrame = 0xC2;
constexpr std::uint8_t kHuffmanTables = 0xC4;
constexpr std::uint8_t kEndOfImage = 0xD9;
constexpr std::uint8_t kScan = 0xDA;

/// What has been defined so far, as the decoder will see it (ITU T.81, annex B).
class HuffmanTables {
 public:
  /// Takes a segment (what follows its length); false when it is unsound.
  bool take(std::uint8_t marker, Segment segment) {
    if (marker == kHuffmanTables) return define(segment);
    if (marker == kScan) return check_scan(segment);
    progressive_ = progressive_ || marker == kProgressiveFrame;
    return true;
  }

 private:
  bool define(Segment segment) {
    constexpr std::size_t kHead = 17;  // class and place, then how many codes have 1 .. 16 bits
    while (!segment.empty()) {
      if (segment.size() < kHead) return false;
      const std::size_t kind = segment[0] >> 4U;
      const std::size_t place = segment[0] & 15U;
      const std::size_t codes = std::accumulate(segment.begin() + 1, segment.begin() + kHead, 0U);
      if (kind > 1 || place > 3 || codes > 256 || segment.size() < kHead + codes) return false;
      defined_.at(kind).at(place) = true;
      segment = segment.subspan(kHead + codes);
    }
    return true;
  }

  [[nodiscard]] bool check_scan(Segment segment) const {
    const std::size_t components = segment.empty() ? 0 : segment[0];
    if (segment.size() != 4 + 2 * components) return false;
    const bool first_band = segment[1 + 2 * components] == 0;
    const bool refines = (segment[3 + 2 * components] >> 4U) != 0;
    const bool needs_dc = first_band && !refines;
    const bool needs_ac = !progressive_ || !first_band;
    for (std::size_t c = 0; c < components; ++c) {
      const std::size_t dc = segment[2 + 2 * c] >> 4U;
      const std::size_t ac = segment[2 + 2 * c] & 15U;
      if (dc > 3 || ac > 3) return false;
      if ((needs_dc && !defined_[0].at(dc)) || (needs_ac && !defined_[1].at(ac))) return false;
    }
    return true;
  }

  std::array<std::array<bool, 4>, 2> defined_{};
  bool progressive_ = false;
};

}  // namespace

bool has_sound_huffman_tables(std::span<const std::uint8_t> bytes) {
  // The way that stb_image's reader takes: from marker to marker, past the data of scans.
  HuffmanTables tables;
  std::size_t at = 2;
  while (at + 4 <= bytes.size()) {
    const std::uint8_t marker = bytes[at + 1];
    const bool is_marker = bytes[at] == 0xFF && marker != 0x00 && marker != 0xFF;
    const bool has_no_length = marker >= 0xD0 && marker <= 0xD8;
    if (is_marker && marker == kEndOfImage) return true;
    if (!is_marker || has_no_length) {
      ++at;
      continue;
    }
    const std::size_t length = std::size_t{256} * bytes[at + 2] + bytes[at + 3];
    if (length < 2) return false;
    const bool is_whole = length <= bytes.size() - at - 2;
    const bool matters = marker == kHuffmanTables || marker == kScan || marker == kProgressiveFrame;
    if (matters && (!is_whole || !tables.take(marker, bytes.subspan(at + 4, length - 2))))
      return false;
    at += 2 + length;
  }
  return true;
}

JpegFrame read_jpeg_frame(std::span<const std::uint8_t> bytes) {
  constexpr std::array<std::uint8_t, 5> kAdobe = {'A', 'd', 'o', 'b', 'e'};
  constexpr std::size_t kFrameBytes = 10;  // marker, length, precision, height, width, channels
  const auto number = [bytes](std::size_t at) { return 256 * bytes[at] + bytes[at + 1]; };
  JpegFrame frame;
  std::size_t at = 2;
  while (at + 4 <= bytes.size() && bytes[at + 1] != kScan && bytes[at + 1] != kEndOfImage) {
    const std::uint8_t marker = bytes[at + 1];
    if (bytes[at] != 0xFF || marker == 0x00 || marker == 0xFF) {
      ++at;
      continue;
    }
    const auto length = static_cast<std::size_t>(number(at + 2));
    if (marker >= 0xC0 && marker <= kProgressiveFrame && at + kFrameBytes <= bytes.size()) {
      frame.height = number(at + 5);
      frame.width = number(at + 7);
      frame.channels = bytes[at + 9];
    }
    if (marker == 0xEE && length >= 14 && at + 4 + kAdobe.size() <= bytes.size())
      frame.is_adobe =
          frame.is_adobe || std::equal(kAdobe.begin(), kAdobe.end(),
                                       bytes.begin() + static_cast<std::ptrdiff_t>(at) + 4);
    at += 2 + length;
  }
  return frame;
}

}  // namespace branchy
