// FilterCounts: the option `filters`, by which a pruned network has fewer filters than published.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "layers/network.h"
#include "layers/network_options.h"

namespace branchy {

inline constexpr const char* kFiltersOption = "filters";

/// filters=NAME:COUNT,NAME:COUNT gives convolutions, by the names of their state, COUNT filters;
/// the others have all of theirs. A network asks for each convolution that may have fewer: one
/// whose output no residual sum takes, so that only what reads it loses inputs. Every error is a
/// ConfigError that names network and option.
class FilterCounts {
 public:
  /// Reads the option of `options`, which outlives this.
  explicit FilterCounts(OptionReader& options);

  /// Filters of `conv`, 1 to `all`.
  [[nodiscard]] std::int64_t of(const std::string& conv, std::int64_t all);
  /// What was asked for, once everything was. Throws for a name that nobody asked for.
  [[nodiscard]] std::vector<FilterCount> finish() const;

 private:
  OptionReader& options_;
  std::map<std::string, std::int64_t> given_;
  std::vector<FilterCount> asked_;
};

/// The value of the option for these filters; "" when none is missing.
[[nodiscard]] std::string filters_text(const std::vector<FilterCount>& filters);

}  // namespace branchy
