// What branchy computes for the cells of the papers' tables.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "experiments/counted_network.h"

namespace branchy {

/// A computed cell: a number, printed with the decimals of the paper, or else a text.
struct CellValue {
  std::optional<double> number;  ///< in the unit of the table
  std::string text;              ///< the cell itself without a number, else the exact figure
};

/// Gives one cell by the names of its row and column.
using CellFunction = std::function<CellValue(CountedNetworks& networks, const std::string& row,
                                             const std::string& column)>;
/// By id of the table.
using CellFunctions = std::map<std::string, CellFunction>;

[[nodiscard]] CellFunctions dong_cells();
[[nodiscard]] CellFunctions pacheco_cells();
[[nodiscard]] CellFunctions lee_cells();

/// A count in millions.
[[nodiscard]] CellValue millions(std::int64_t count);
/// A count as it is.
[[nodiscard]] CellValue whole(std::int64_t count);
/// The first and the last number in the name of a row or column: 10 and 1 of "CIFAR-10 O_l1". Throw
/// DataError when there is none.
[[nodiscard]] double first_number(const std::string& name);
[[nodiscard]] double last_number(const std::string& name);
/// The same as an integer.
[[nodiscard]] std::int64_t first_integer(const std::string& name);
[[nodiscard]] std::int64_t last_integer(const std::string& name);

}  // namespace branchy
