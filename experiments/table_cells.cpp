#include "experiments/table_cells.h"

#include <fmt/core.h>

#include <cmath>
#include <regex>
#include <vector>

#include "core/error.h"

namespace branchy {

namespace {

std::vector<double> numbers_in(const std::string& name) {
  static const std::regex number(R"rx(\d+(\.\d+)?)rx");
  std::vector<double> numbers;
  for (auto match = std::sregex_iterator(name.begin(), name.end(), number);
       match != std::sregex_iterator(); ++match)
    numbers.push_back(std::stod(match->str()));
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
