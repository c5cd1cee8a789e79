#include "experiments/csv_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <system_error>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {

namespace {

/// The fields of a line; nothing when a quote is left open.
std::optional<std::vector<std::string>> fields_of(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') {
      // Within quotes a second one stands for itself.
      if (quoted && i + 1 < line.size() && line[i + 1] == '"')
        fields.back() += line[++i];
      else
        quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (quoted) return std::nullopt;
  return fields;
}

}  // namespace

CsvTable::CsvTable(const std::filesystem::path& path) : path_(path.string()) {
  std::ifstream file(path);
  if (!file) throw IoError(fmt::format("[csv] cannot read {}", path_));
  std::string line;
  for (std::int64_t number = 1; std::getline(file, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    auto fields = fields_of(line);
    if (!fields) throw DataError(fmt::format("[{}] line {} leaves a quote open", path_, number));
    if (columns_.empty()) {
      columns_ = std::move(*fields);
      continue;
    }
    if (fields->size() != columns_.size())
      throw DataError(fmt::format("[{}] line {} has {} fields, expected {}", path_, number,
                                  fields->size(), columns_.size()));
    rows_.push_back(std::move(*fields));
  }
  if (rows_.empty())
    throw DataError(fmt::format("[{}] has no rows below a line of column names", path_));
}

std::vector<std::string> CsvTable::texts(const std::string& column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  if (found == columns_.end())
    throw ConfigError(fmt::format("[{}] has no column '{}', only: {}", path_, printable(column),
                                  printable(fmt::format("{}", fmt::join(columns_, ", ")))));
  const auto index = static_cast<std::size_t>(found - columns_.begin());
  std::vector<std::string> values;
  values.reserve(rows_.size());
  for (const auto& row : rows_) values.push_back(row[index]);
  return values;
}

std::vector<double> CsvTable::numbers(const std::string& column) const {
  std::vector<double> values;
  for (const std::string& text : texts(column)) {
    double value = std::numeric_limits<double>::quiet_NaN();
    if (!text.empty() && text != "n/a") {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc() || end != text.data() + text.size())
        throw DataError(fmt::format("[{}] column {} holds '{}', expected numbers", path_,
                                    printable(column), printable(text)));
    }
    values.push_back(value);
  }
  return values;
}

}  // namespace branchy
