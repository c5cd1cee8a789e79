// Comparison of the papers' tables with what branchy computes.
#pragma once

#include <string>
#include <vector>

#include "experiments/counted_network.h"
#include "experiments/paper_table.h"

namespace branchy {

enum class Verdict {
  kEqual,      ///< the computed cell reads as the printed one
  kMisprint,   ///< it reads as the known correction of the printed one
  kDifferent,  ///< neither
};

struct ComparedCell {
  std::string row, column;
  std::string printed;
  std::string computed;  ///< in the form of the printed cell
  std::string exact;     ///< the figure behind `computed`, "" when that says it all
  Verdict verdict = Verdict::kDifferent;
  std::string why;  ///< of a misprint
};

/// Every cell that the paper has, row by row. Throws DataError for a table that branchy does not
/// compute.
[[nodiscard]] std::vector<ComparedCell> compare_table(const PaperTable& table,
                                                      CountedNetworks& networks);

/// "equal", "misprint", "different".
[[nodiscard]] std::string verdict_name(Verdict verdict);

}  // namespace branchy
