#include "infer/int8_ranges.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {

namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& expected) {
  throw DataError(fmt::format("[{}] {}, expected {}; run branchy quantize again", kInt8RangesRecord,
                              what, expected));
}

std::optional<std::int64_t> parse_number(std::string_view digits) {
  constexpr std::size_t kMostDigits = 6;
  std::int64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [last, error] = std::from_chars(digits.data(), end, value);
  if (error != std::errc() || last != end || digits.size() > kMostDigits || value < 0)
    return std::nullopt;
  return value;
}

PlanOperation parse_operation(std::string_view name) {
  PlanOperation operation;
  std::string_view rest = name;
  const auto starts = [&](std::string_view kind) {
    if (!rest.starts_with(kind)) return false;
    rest.remove_prefix(kind.size());
    return true;
  };
  operation.is_exit = starts("exit");
  const bool known = operation.is_exit || starts("block");
  const std::size_t point = rest.find('.');
  if (known && point != std::string_view::npos) {
    const auto number = parse_number(rest.substr(0, point));
    const auto index = parse_number(rest.substr(point + 1));
    if (number && index) {
      operation.number = *number;
      operation.index = *index;
      return operation;
    }
  }
  refuse(fmt::format("operation '{}'", printable(name)), "block<N>.<I> or exit<N>.<I>");
}

float parse_bound(const PlanOperation& operation, const std::string& text) {
  float value = 0;
  const char* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || last != end || !std::isfinite(value))
    refuse(fmt::format("{} has a bound '{}'", operation.name(), printable(text)),
           "a finite number");
  return value;
}

}  // namespace

std::string PlanOperation::name() const {
  return fmt::format("{}{}.{}", is_exit ? "exit" : "block", number, index);
}

std::string to_text(const Int8Ranges& ranges) {
  std::string text;
  for (const auto& [operation, range] : ranges)
    text +=
        fmt::format("{}{} {} {}", text.empty() ? "" : " ", operation.name(), range.low, range.high);
  return text;
}

Int8Ranges parse_int8_ranges(std::string_view text) {
  Int8Ranges ranges;
  std::istringstream words{std::string(text)};
  std::string name;
  std::string low;
  std::string high;
  while (words >> name) {
    const PlanOperation operation = parse_operation(name);
    if (!(words >> low >> high))
      refuse(fmt::format("{} is followed by fewer than two bounds", operation.name()),
             "the lowest and highest value of its source");
    const dnn::ValueRange range{parse_bound(operation, low), parse_bound(operation, high)};
    if (range.low > 0.0F || range.high < 0.0F)
      refuse(fmt::format("{} lies between {} and {}", operation.name(), range.low, range.high),
             "bounds on both sides of zero, the lower first");
    if (!ranges.emplace(operation, range).second)
      refuse(fmt::format("{} is there twice", operation.name()), "one range an operation");
  }
  if (ranges.empty()) refuse("no operation", "at least one");
  return ranges;
}

Int8Ranges int8_ranges(const ModelInfo& info) {
  const auto found = info.records.find(std::string(kInt8RangesRecord));
  return found == info.records.end() ? Int8Ranges{} : parse_int8_ranges(found->second);
}

}  // namespace branchy
