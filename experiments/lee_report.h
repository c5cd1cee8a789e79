// Text, JSON, CSV and plot of the measurements of Lee et al.
#pragma once

#include <span>
#include <string>

#include "experiments/gnuplot.h"
#include "experiments/lee_rows.h"
#include "experiments/lee_trends.h"

namespace branchy {

/// The table of all rows, the paper's figures beside those measured, and the trends with what
/// speaks against them. Empty groups read n/a.
[[nodiscard]] std::string lee_text(std::span<const LeeRow> rows,
                                   std::span<const LeePrinted> printed,
                                   std::span<const LeeTrend> trends);
/// A line with names, then one a row; empty fields for empty groups.
[[nodiscard]] std::string lee_csv(std::span<const LeeRow> rows);
/// JSON text of an object with the keys rows, printed and trends; null for empty groups.
[[nodiscard]] std::string lee_json(std::span<const LeeRow> rows,
                                   std::span<const LeePrinted> printed,
                                   std::span<const LeeTrend> trends);
/// Local share and overall accuracy against T, a line for each model and active exit.
[[nodiscard]] Plot lee_plot(std::span<const LeeRow> rows);

}  // namespace branchy
