// PaperTable: figures of a paper as facts, read from experiments/reference.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace branchy {

/// A cell in which the paper cannot mean what it prints.
struct Misprint {
  std::string row, column;
  std::string correct;  ///< what the cell has to be
  std::string why;
};

struct PaperTable {
  struct Row {
    std::string name;
    std::vector<std::string> cells;  ///< one a column, as printed; "" where the paper has none
  };

  std::string paper;  ///< authors, title, year
  std::string id;     ///< "dong-V": what --table takes
  std::string title;
  std::string source;  ///< "printed", "published code", "derived" (arithmetic on the paper's facts)
  std::string unit;
  std::string note;
  std::vector<std::string> columns;
  std::vector<Row> rows;
  std::vector<Misprint> misprints;

  /// Null unless the cell is a known misprint.
  [[nodiscard]] const Misprint* misprint(const std::string& row, const std::string& column) const;
};

/// The tables of one paper: {"paper", "tables": [{"id", "title", "source", "unit", "note"?,
/// "columns", "rows": [[name, cell...]...], "misprints"?}]}. Throws DataError naming the table when
/// a key is missing, a row has another number of cells, or a misprint names no cell.
[[nodiscard]] std::vector<PaperTable> parse_paper_tables(std::string_view json);

/// All tables of experiments/reference, in the order of the papers.
[[nodiscard]] std::vector<PaperTable> paper_tables();

}  // namespace branchy
