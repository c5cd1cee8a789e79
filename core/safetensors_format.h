// Internal to the safetensors reader and writer: constants of the format.
#pragma once

#include <cstdint>
#include <string_view>

namespace branchy::detail {

inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr std::string_view kMetadataKey = "__metadata__";

}  // namespace branchy::detail
