// Base64 (RFC 4648, section 4): bytes as text.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace branchy {

/// With padding, without line breaks.
[[nodiscard]] std::string base64(std::span<const std::uint8_t> bytes);

}  // namespace branchy
