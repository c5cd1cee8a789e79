#include "train/flag_range.h"

#include <fmt/core.h>

#include "core/error.h"

namespace branchy {

namespace {

template <typename Value>
void require(std::string_view flag, Value value, Value low, Value high) {
  if (!(value >= low && value <= high))
    throw ConfigError(fmt::format("[train] {} {}, expected {} to {}", flag, value, low, high));
}

}  // namespace

void require_range(std::string_view flag, std::int64_t value, std::int64_t low, std::int64_t high) {
  require(flag, value, low, high);
}

void require_range(std::string_view flag, double value, double low, double high) {
  require(flag, value, low, high);
}

}  // namespace branchy
