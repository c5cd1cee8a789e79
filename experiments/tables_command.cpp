#include "experiments/tables_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/provenance.h"
#include "experiments/table_comparison.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct TablesCommand {
  std::vector<std::string> ids;
  bool json = false;
  std::string out;
};

struct ComparedTable {
  PaperTable table;
  std::vector<ComparedCell> cells;
};

std::vector<ComparedTable> compare(const TablesCommand& command) {
  std::vector<PaperTable> tables = paper_tables();
  std::vector<std::string> known;
  known.reserve(tables.size());
  for (const PaperTable& table : tables) known.push_back(table.id);
  for (const std::string& id : command.ids)
    if (std::find(known.begin(), known.end(), id) == known.end())
      throw ConfigError(
          fmt::format("[tables] --table '{}', expected: {}", id, fmt::join(known, ", ")));
  CountedNetworks networks;
  std::vector<ComparedTable> compared;
  for (PaperTable& table : tables) {
    const auto& ids = command.ids;
    if (!ids.empty() && std::find(ids.begin(), ids.end(), table.id) == ids.end()) continue;
    auto cells = compare_table(table, networks);
    compared.push_back({std::move(table), std::move(cells)});
  }
  return compared;
}

/// "62.88 = 62.88 (62877706)".
std::string cell_text(const ComparedCell& cell) {
  const char* sign = cell.verdict == Verdict::kEqual      ? "="
                     : cell.verdict == Verdict::kMisprint ? "~"
                                                          : "!";
  std::string text = fmt::format("{} {} {}", cell.printed, sign, cell.computed);
  if (!cell.exact.empty()) text += fmt::format(" ({})", cell.exact);
  return text;
}

/// The cells as a grid under the names of the columns, as wide as they need.
void print_grid(const ComparedTable& compared) {
  const PaperTable& table = compared.table;
  std::map<std::pair<std::string, std::string>, std::string> texts;
  std::vector<std::size_t> widths(table.columns.size());
  std::size_t name_width = 0;
  for (const ComparedCell& cell : compared.cells) texts[{cell.row, cell.column}] = cell_text(cell);
  for (const PaperTable::Row& row : table.rows) {
    name_width = std::max(name_width, row.name.size());
    for (std::size_t i = 0; i < widths.size(); ++i)
      widths[i] = std::max(
          {widths[i], table.columns[i].size(), texts[{row.name, table.columns[i]}].size()});
  }
  const auto print_row = [&](const std::string& name, auto text_of) {
    std::string line = fmt::format("{:<{}}", name, name_width);
    for (std::size_t i = 0; i < widths.size(); ++i)
      line += fmt::format("  {:<{}}", text_of(table.columns[i]), widths[i]);
    fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
  };
  print_row("", [](const std::string& column) { return column; });
  for (const PaperTable::Row& row : table.rows)
    print_row(row.name, [&](const std::string& column) { return texts[{row.name, column}]; });
}

void print_tables(const std::vector<ComparedTable>& tables) {
  fmt::print(
      "paper = branchy (exact figure); ~ a misprint of the paper, see below its table; ! differs\n"
      "conventions of counting: layers/COST.md\n");
  std::string paper;
  for (const ComparedTable& compared : tables) {
    const PaperTable& table = compared.table;
    if (table.paper != paper) fmt::print("\n=== {} ===\n", table.paper);
    paper = table.paper;
    fmt::print("\n{}: {} [{}{}{}]\n", table.id, table.title, table.source,
               table.unit.empty() ? "" : "; ", table.unit);
    print_grid(compared);
    for (const Misprint& misprint : table.misprints)
      fmt::print("~ {}, {}: {}\n", misprint.row, misprint.column, misprint.why);
    if (!table.note.empty()) fmt::print("{}\n", table.note);
  }
}

std::string json_text(const std::vector<ComparedTable>& tables) {
  ordered_json document;
  for (const auto& [key, value] : provenance()) document[key] = value;
  document["tables"] = ordered_json::array();
  for (const ComparedTable& compared : tables) {
    const PaperTable& table = compared.table;
    ordered_json entry{{"id", table.id},         {"paper", table.paper}, {"title", table.title},
                       {"source", table.source}, {"unit", table.unit},   {"note", table.note}};
    entry["cells"] = ordered_json::array();
    for (const ComparedCell& cell : compared.cells)
      entry["cells"].push_back({{"row", cell.row},
                                {"column", cell.column},
                                {"paper", cell.printed},
                                {"branchy", cell.computed},
                                {"exact", cell.exact},
                                {"verdict", verdict_name(cell.verdict)},
                                {"why", cell.why}});
    document["tables"].push_back(std::move(entry));
  }
  return document.dump(2) + "\n";
}

/// A field of RFC 4180.
std::string quoted(const std::string& field) {
  std::string text = "\"";
  for (const char c : field) text += c == '"' ? "\"\"" : std::string(1, c);
  return text + "\"";
}

std::string csv_text(const std::vector<ComparedTable>& tables) {
  std::string text = "table,row,column,source,unit,paper,branchy,exact,verdict,why\n";
  for (const auto& [table, cells] : tables)
    for (const ComparedCell& cell : cells) {
      const std::vector<std::string> fields{table.id,      cell.row,   cell.column,
                                            table.source,  table.unit, cell.printed,
                                            cell.computed, cell.exact, verdict_name(cell.verdict),
                                            cell.why};
      std::vector<std::string> line;
      line.reserve(fields.size());
      for (const std::string& field : fields) line.push_back(quoted(field));
      text += fmt::format("{}\n", fmt::join(line, ","));
    }
  return text;
}

void run(const TablesCommand& command) {
  const std::vector<ComparedTable> tables = compare(command);
  std::map<Verdict, std::size_t> verdicts;
  for (const ComparedTable& compared : tables)
    for (const ComparedCell& cell : compared.cells) ++verdicts[cell.verdict];
  if (!command.out.empty()) write_file_atomically(command.out, csv_text(tables));
  if (command.json) {
    fmt::print("{}", json_text(tables));
  } else {
    print_tables(tables);
    fmt::print("\n{} cells equal, {} misprints of the papers, {} different\n",
               verdicts[Verdict::kEqual], verdicts[Verdict::kMisprint],
               verdicts[Verdict::kDifferent]);
  }
  if (verdicts[Verdict::kDifferent] > 0)
    throw DataError(fmt::format("[tables] {} cells differ from the papers; look for {}",
                                verdicts[Verdict::kDifferent],
                                command.json ? "the verdict 'different'" : "'!'"));
}

}  // namespace

void add_tables_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "tables", "The papers' tables of operation counts, shapes and places beside branchy's");
  const auto command = std::make_shared<TablesCommand>();
  verb->add_option("--table", command->ids, "Only these tables, such as dong-V (default: all)");
  verb->add_flag("--json", command->json, "Print JSON instead of text tables");
  verb->add_option("--out", command->out, "Write every cell to this CSV file");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
