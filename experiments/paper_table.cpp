#include "experiments/paper_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "experiments/reference_texts.h"

namespace branchy {

namespace {

using nlohmann::json;

Misprint parse_misprint(const json& entry, const PaperTable& table) {
  Misprint misprint{entry.at("row"), entry.at("column"), entry.at("correct"), entry.at("why")};
  const bool has_row =
      std::any_of(table.rows.begin(), table.rows.end(),
                  [&](const PaperTable::Row& row) { return row.name == misprint.row; });
  const auto& columns = table.columns;
  if (!has_row || std::find(columns.begin(), columns.end(), misprint.column) == columns.end())
    throw DataError(fmt::format("[reference {}] misprint of row '{}', column '{}': no such cell",
                                table.id, misprint.row, misprint.column));
  return misprint;
}

PaperTable parse_table(const json& entry, const std::string& paper) {
  PaperTable table{.paper = paper,
                   .id = entry.at("id"),
                   .title = entry.at("title"),
                   .source = entry.at("source"),
                   .unit = entry.value("unit", ""),
                   .note = entry.value("note", ""),
                   .columns = entry.at("columns"),
                   .rows = {},
                   .misprints = {}};
  for (const json& row : entry.at("rows")) {
    auto cells = row.get<std::vector<std::string>>();
    if (cells.size() != table.columns.size() + 1)
      throw DataError(
          fmt::format("[reference {}] row {} has {} texts, expected a name and {} cells", table.id,
                      table.rows.size() + 1, cells.size(), table.columns.size()));
    std::string name = cells.front();
    cells.erase(cells.begin());
    table.rows.push_back({std::move(name), std::move(cells)});
  }
  if (const auto misprints = entry.find("misprints"); misprints != entry.end())
    for (const json& misprint : *misprints)
      table.misprints.push_back(parse_misprint(misprint, table));
  return table;
}

}  // namespace

const Misprint* PaperTable::misprint(const std::string& row, const std::string& column) const {
  for (const Misprint& candidate : misprints)
    if (candidate.row == row && candidate.column == column) return &candidate;
  return nullptr;
}

std::vector<PaperTable> parse_paper_tables(std::string_view text) {
  std::vector<PaperTable> tables;
  std::string place = "reference";
  try {
    const json document = json::parse(text);
    const std::string paper = document.at("paper");
    for (const json& entry : document.at("tables")) {
      place = "reference " + entry.value("id", "without id");
      tables.push_back(parse_table(entry, paper));
    }
  } catch (const json::exception& error) {
    throw DataError(fmt::format("[{}] {}", place, error.what()));
  }
  return tables;
}

std::vector<PaperTable> paper_tables() {
  std::vector<PaperTable> all;
  for (const std::string_view text : reference_texts())
    for (PaperTable& table : parse_paper_tables(text)) all.push_back(std::move(table));
  return all;
}

}  // namespace branchy
