#include "experiments/table_cells.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <vector>

#include "core/error.h"

namespace branchy {

namespace {

std::vector<double> numbers_in(const std::string& name) {
  std::vector<double> numbers;
  const char* end = name.data() + name.size();
  for (const char* at = name.data(); at != end;) {
    double number = 0.0;
    const char* after = at + 1;  // of a character that begins no number
    if ('0' <= *at && *at <= '9') {
      after = std::from_chars(at, end, number, std::chars_format::fixed).ptr;
      numbers.push_back(number);
    }
    at = after;
  }
  if (numbers.empty())
    throw DataError(
        fmt::format("[reference] the name '{}' of a row or column has no number", name));
  return numbers;
}

}  // namespace

CellValue millions(std::int64_t count) {
  return {static_cast<double>(count) / 1e6, std::to_string(count)};
}

CellValue whole(std::int64_t count) { return {static_cast<double>(count), std::to_string(count)}; }

double first_number(const std::string& name) { return numbers_in(name).front(); }
double last_number(const std::string& name) { return numbers_in(name).back(); }
std::int64_t first_integer(const std::string& name) { return std::llround(first_number(name)); }
std::int64_t last_integer(const std::string& name) { return std::llround(last_number(name)); }

}  // namespace branchy
