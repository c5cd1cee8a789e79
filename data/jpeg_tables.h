// A check of JPEG files before they are given to stb_image.
#pragma once

#include <cstdint>
#include <span>

namespace branchy {

/// Whether every Huffman table of a JPEG file states at most 256 codes and fills its segment, and
/// every scan uses tables defined before it. stb_image 2.27 writes past an array for larger tables
/// and reads past one for missing ones.
[[nodiscard]] bool has_sound_huffman_tables(std::span<const std::uint8_t> bytes);

/// Whether a JPEG file has four channels but no Adobe segment (APP14) that says how they are coded.
[[nodiscard]] bool is_unmarked_cmyk(std::span<const std::uint8_t> bytes);

}  // namespace branchy
