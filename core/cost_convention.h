// CostConvention: which of a Cost's counts is meant, by the names of layers/COST.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/cost.h"

namespace branchy {

enum class CostConvention { kPtflops, kPthflops, kMac };

/// "ptflops", "pthflops" or "mac"; throws ConfigError for another name.
[[nodiscard]] CostConvention parse_cost_convention(const std::string& name);
[[nodiscard]] std::string_view convention_name(CostConvention convention);
[[nodiscard]] std::int64_t counted(const Cost& cost, CostConvention convention);

}  // namespace branchy
