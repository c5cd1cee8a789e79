// The trends that Lee et al. 2020 report, checked on measured rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "experiments/lee_rows.h"

namespace branchy {

/// A statement of the paper and how many of the comparisons that it makes hold here.
struct LeeTrend {
  std::string statement;
  std::int64_t holding = 0, compared = 0;  ///< neighbouring pairs; empty groups are not compared
  std::vector<std::string> against;        ///< the pairs that contradict, with their values

  /// Nothing contradicts, and something was compared.
  [[nodiscard]] bool holds() const { return compared > 0 && holding == compared; }
  /// "holds (6 of 6)", "does not hold (5 of 6)", "not compared".
  [[nodiscard]] std::string verdict() const;
};

/// Sections 4.2 to 4.5. SEM are rows of networks with one early exit, ordered by its block; equal
/// values count as holding. The trend of latency needs three machines and is left out.
[[nodiscard]] std::vector<LeeTrend> lee_trends(std::span<const LeeRow> rows);

}  // namespace branchy
