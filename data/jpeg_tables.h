// A check of JPEG files before they are given to stb_image.
#pragma once

#include <cstdint>
#include <span>

namespace branchy {

/// Whether every Huffman table of a JPEG file states at most 256 codes and fills its segment, and
/// every scan uses tables defined before it. stb_image 2.27 writes past an array for larger tables
/// and reads past one for missing ones.
[[nodiscard]] bool has_sound_huffman_tables(std::span<const std::uint8_t> bytes);

/// What the header of a JPEG file says of its pixels; zeros when it has no frame of a known kind.
struct JpegFrame {
  std::int64_t height = 0, width = 0, channels = 0;
  bool is_adobe = false;  ///< an Adobe segment (APP14) says how four channels are coded
};
[[nodiscard]] JpegFrame read_jpeg_frame(std::span<const std::uint8_t> bytes);

}  // namespace branchy
