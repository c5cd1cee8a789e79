#include "train/policy_grid.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/error.h"

namespace branchy {

namespace {

constexpr std::string_view kSeparators = ":,+=";
constexpr int kMaxDecimals = 9;

[[noreturn]] void refuse(std::string_view set, std::string_view text, std::string_view expected) {
  throw ConfigError(fmt::format("[policy grid] '{}' in '{}', expected {}", set, text, expected));
}

/// digits / 10^decimals.
struct Decimal {
  std::int64_t digits = 0;
  int decimals = 0;
};

std::optional<Decimal> parse_decimal(std::string_view text) {
  const auto point = text.find('.');
  const std::string whole(text.substr(0, point));
  const std::string fraction(point == std::string_view::npos ? "" : text.substr(point + 1));
  if (fraction.size() > kMaxDecimals || (point != std::string_view::npos && fraction.empty()))
    return std::nullopt;
  const std::string all = whole + fraction;
  if (all.empty() || all.size() > 15 ||
      !std::all_of(all.begin(), all.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  Decimal result{.decimals = static_cast<int>(fraction.size())};
  std::from_chars(all.data(), all.data() + all.size(), result.digits);
  return result;
}

std::int64_t scaled(const Decimal& value, int decimals) {
  std::int64_t digits = value.digits;
  for (int i = value.decimals; i < decimals; ++i) digits *= 10;
  return digits;
}

/// Without needless zeros: 0.2, not 0.20.
std::string to_text(std::int64_t digits, int decimals) {
  std::string text = fmt::format("{:0{}}", digits, decimals + 1);
  if (decimals == 0) return text;
  text.insert(text.size() - static_cast<std::size_t>(decimals), 1, '.');
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

void add_range(std::string_view range, std::string_view text, std::vector<std::string>& values) {
  constexpr std::string_view kExpected = "a range LOW..HIGH/STEP such as 0.2..0.99/0.01";
  const auto dots = range.find("..");
  const auto slash = range.find('/', dots);
  if (slash == std::string_view::npos) refuse(range, text, kExpected);
  const auto low = parse_decimal(range.substr(0, dots));
  const auto high = parse_decimal(range.substr(dots + 2, slash - dots - 2));
  const auto step = parse_decimal(range.substr(slash + 1));
  if (!low || !high || !step) refuse(range, text, kExpected);
  if (step->digits == 0) refuse(range, text, "a step above 0");
  const int decimals = std::max({low->decimals, high->decimals, step->decimals});
  const std::int64_t from = scaled(*low, decimals);
  const std::int64_t to = scaled(*high, decimals);
  const std::int64_t by = scaled(*step, decimals);
  const std::int64_t count = (from < to ? to - from : from - to) / by + 1;
  if (count > kMaxGrid) refuse(range, text, fmt::format("{} values or fewer", kMaxGrid));
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(to_text(from < to ? from + i * by : from - i * by, decimals));
}

std::vector<std::string> parse_set(std::string_view set, std::string_view text) {
  std::vector<std::string> values;
  while (true) {
    const auto bar = set.find('|');
    const std::string_view one = set.substr(0, bar);
    if (one.find("..") != std::string_view::npos)
      add_range(one, text, values);
    else if (parse_decimal(one))
      values.emplace_back(one);
    else
      refuse(one, text, "a number or a range LOW..HIGH/STEP");
    if (bar == std::string_view::npos) return values;
    set.remove_prefix(bar + 1);
  }
}

bool is_set(std::string_view token) {
  return token.find('|') != std::string_view::npos || token.find("..") != std::string_view::npos;
}

}  // namespace

PolicyGrid parse_policy_grid(std::string_view text) {
  PolicyGrid grid{.texts = {""}};
  std::int64_t last = 1;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
    const std::string_view token = text.substr(at, end - at);
    const std::string_view separator = text.substr(end, 1);
    const auto values =
        is_set(token) ? parse_set(token, text) : std::vector<std::string>{std::string(token)};
    if (std::ssize(grid.texts) * std::ssize(values) > kMaxGrid)
      refuse(token, text, fmt::format("a grid of {} policies or fewer", kMaxGrid));
    if (is_set(token)) last = std::ssize(values);
    std::vector<std::string> longer;
    longer.reserve(grid.texts.size() * values.size());
    for (const std::string& start : grid.texts)
      for (const std::string& value : values)
        longer.push_back(fmt::format("{}{}{}", start, value, separator));
    grid.texts = std::move(longer);
    at = end + 1;
  }
  grid.lines = std::ssize(grid.texts) / last;
  return grid;
}

}  // namespace branchy
