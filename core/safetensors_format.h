// Internal to the safetensors reader and writer: constants of the format and printing of names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace branchy::detail {

inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr std::string_view kMetadataKey = "__metadata__";

/// A name from a file, safe to print: control characters shown as '?', cut at 80 bytes.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace branchy::detail
