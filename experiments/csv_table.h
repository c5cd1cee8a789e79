// CsvTable: a CSV file with a line of column names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace branchy {

/// Fields by RFC 4180: separated by commas, in double quotes where they hold one, "" for a quote.
class CsvTable {
 public:
  /// Throws IoError when the file cannot be read, DataError naming the line for one that has
  /// another number of fields than the first or an open quote, and for a file without rows.
  explicit CsvTable(const std::filesystem::path& path);

  [[nodiscard]] std::size_t num_rows() const { return rows_.size(); }
  /// The column of this name, row by row. Throws ConfigError listing the columns there are.
  [[nodiscard]] std::vector<std::string> texts(const std::string& column) const;
  /// The same as numbers; empty fields, "n/a" and "nan" are NaN. Throws DataError for other text.
  [[nodiscard]] std::vector<double> numbers(const std::string& column) const;

 private:
  std::string path_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace branchy
