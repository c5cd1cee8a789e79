#include "core/cost_convention.h"

#include <fmt/core.h>

#include "core/error.h"

namespace branchy {

CostConvention parse_cost_convention(const std::string& name) {
  for (const CostConvention convention :
       {CostConvention::kPtflops, CostConvention::kPthflops, CostConvention::kMac})
    if (convention_name(convention) == name) return convention;
  throw ConfigError(
      fmt::format("[cost] convention '{}', expected one of: ptflops, pthflops, mac", name));
}

std::string_view convention_name(CostConvention convention) {
  switch (convention) {
    case CostConvention::kPtflops:
      return "ptflops";
    case CostConvention::kPthflops:
      return "pthflops";
    case CostConvention::kMac:
      break;
  }
  return "mac";
}

std::int64_t counted(const Cost& cost, CostConvention convention) {
  switch (convention) {
    case CostConvention::kPtflops:
      return cost.ptflops;
    case CostConvention::kPthflops:
      return cost.pthflops;
    case CostConvention::kMac:
      break;
  }
  return cost.macs;
}

}  // namespace branchy
