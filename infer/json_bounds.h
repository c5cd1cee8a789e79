// Bounds of a JSON text from outside, checked before it is parsed.
#pragma once

#include <cstddef>
#include <string_view>

namespace branchy {

inline constexpr std::size_t kMaxJsonBytes = std::size_t{4} << 20;
inline constexpr std::size_t kMaxJsonDepth = 16;
inline constexpr std::size_t kMaxJsonContainers = 100'000;

/// Size, nesting and number of arrays and objects, so that a parser cannot be made to take much
/// more memory than the text itself. Throws HttpError 400.
void check_json_bounds(std::string_view text);

}  // namespace branchy
