#include "layers/network_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {

namespace {

template <typename Number>
bool parse(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

void add_option(NetworkOptions& options, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || text.find('\n') != std::string::npos)
    throw ConfigError(fmt::format("[network] option '{}', expected KEY=VALUE", printable(text)));
  const std::string key = text.substr(0, equals);
  if (!options.emplace(key, text.substr(equals + 1)).second)
    throw ConfigError(
        fmt::format("[network] option {} is given twice; leave one out", printable(key)));
}

std::vector<std::string> to_lines(const NetworkOptions& options) {
  std::vector<std::string> lines;
  lines.reserve(options.size());
  for (const auto& [key, value] : options) lines.push_back(fmt::format("{}={}", key, value));
  return lines;
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t start = 0; start <= text.size() && !text.empty();) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    parts.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

const std::string* OptionReader::find(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  const auto found = options_.find(key);
  return found == options_.end() ? nullptr : &found->second;
}

std::string OptionReader::choice(const std::string& key, const std::vector<std::string>& allowed) {
  const std::string* given = find(key);
  if (given == nullptr) return allowed.front();
  if (std::find(allowed.begin(), allowed.end(), *given) == allowed.end())
    fail(key, fmt::format("one of: {}", fmt::join(allowed, ", ")));
  return *given;
}

std::string OptionReader::text(const std::string& key) {
  const std::string* given = find(key);
  return given == nullptr ? "" : *given;
}

std::int64_t OptionReader::integer(const std::string& key, std::int64_t fallback, std::int64_t low,
                                   std::int64_t high) {
  const std::string* given = find(key);
  if (given == nullptr) return fallback;
  std::int64_t value = 0;
  if (!parse(*given, value) || value < low || value > high)
    fail(key, fmt::format("an integer in {} .. {}", low, high));
  return value;
}

double OptionReader::number(const std::string& key, double fallback, double low, double high) {
  const std::string* given = find(key);
  if (given == nullptr) return fallback;
  double value = 0.0;
  if (!parse(*given, value) || !std::isfinite(value) || value < low || value > high)
    fail(key, fmt::format("a number in {} .. {}", low, high));
  return value;
}

std::vector<std::int64_t> OptionReader::integers(const std::string& key,
                                                 std::vector<std::int64_t> fallback,
                                                 std::int64_t low, std::int64_t high) {
  const std::string* given = find(key);
  if (given == nullptr) return fallback;
  std::vector<std::int64_t> values;
  for (const std::string& part : split_list(*given)) {
    std::int64_t value = 0;
    if (!parse(part, value) || value < low || value > high)
      fail(key, fmt::format("integers in {} .. {}, separated by commas", low, high));
    values.push_back(value);
  }
  return values;
}

void OptionReader::finish() const {
  for (const auto& [key, value] : options_)
    if (std::find(known_.begin(), known_.end(), key) == known_.end())
      throw ConfigError(
          known_.empty()
              ? fmt::format("[{}] has no option '{}', nor any other", network_, printable(key))
              : fmt::format("[{}] has no option '{}'; its options are: {}", network_,
                            printable(key), fmt::join(known_, ", ")));
}

void OptionReader::fail(const std::string& key, const std::string& expected) const {
  const auto found = options_.find(key);
  throw ConfigError(fmt::format("[{}] option {} is '{}', expected {}", network_, key,
                                found == options_.end() ? "" : printable(found->second), expected));
}

}  // namespace branchy
