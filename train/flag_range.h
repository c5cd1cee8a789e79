// Range checks of flags, with one wording.
#pragma once

#include <cstdint>
#include <string_view>

namespace branchy {

inline constexpr std::int64_t kManyOfAFlag = 1000000000;
inline constexpr double kLargeFlag = 1e9;

/// Throws ConfigError naming the flag unless low <= value <= high.
void require_range(std::string_view flag, std::int64_t value, std::int64_t low, std::int64_t high);
void require_range(std::string_view flag, double value, double low, double high);

}  // namespace branchy
