#include "experiments/table_comparison.h"

#include <fmt/core.h>

#include "core/error.h"
#include "experiments/table_cells.h"

namespace branchy {

namespace {

const CellFunctions& all_cells() {
  static const CellFunctions all = [] {
    CellFunctions cells = dong_cells();
    cells.merge(pacheco_cells());
    cells.merge(lee_cells());
    return cells;
  }();
  return all;
}

/// The number with as many decimals as `printed` has.
std::string in_form_of(const std::string& printed, double number) {
  const std::size_t point = printed.find('.');
  const std::size_t decimals = point == std::string::npos ? 0 : printed.size() - point - 1;
  return fmt::format("{:.{}f}", number, decimals);
}

ComparedCell compare(const std::string& printed, const CellValue& value, const Misprint* misprint) {
  ComparedCell cell;
  cell.printed = printed;
  cell.computed = value.number ? in_form_of(printed, *value.number) : value.text;
  if (value.number && value.text != cell.computed) cell.exact = value.text;
  if (misprint != nullptr) cell.why = misprint->why;
  if (misprint == nullptr && cell.computed == printed)
    cell.verdict = Verdict::kEqual;
  else if (misprint != nullptr && cell.computed == misprint->correct)
    cell.verdict = Verdict::kMisprint;
  return cell;
}

}  // namespace

std::vector<ComparedCell> compare_table(const PaperTable& table, CountedNetworks& networks) {
  const auto function = all_cells().find(table.id);
  if (function == all_cells().end())
    throw DataError(fmt::format("[reference {}] nothing computes this table", table.id));
  std::vector<ComparedCell> cells;
  for (const PaperTable::Row& row : table.rows)
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      const std::string& column = table.columns[i];
      const CellValue value = function->second(networks, row.name, column);
      if (row.cells[i].empty() && !value.number && value.text.empty())
        continue;  // neither side has such a cell
      cells.push_back(compare(row.cells[i], value, table.misprint(row.name, column)));
      cells.back().row = row.name;
      cells.back().column = column;
    }
  return cells;
}

std::string verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kEqual:
      return "equal";
    case Verdict::kMisprint:
      return "misprint";
    case Verdict::kDifferent:
      break;
  }
  return "different";
}

}  // namespace branchy
