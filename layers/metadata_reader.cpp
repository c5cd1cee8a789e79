#include "layers/metadata_reader.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <sstream>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {

namespace {

constexpr std::int64_t kMaxCount = 1000000;

bool read_float(const std::string& text, float& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
}

}  // namespace

std::vector<std::string> split_text(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

const std::string& MetadataReader::text(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end())
    fail(key, "is missing", "the file was not written by branchy; see `branchy convert`");
  return found->second;
}

std::string MetadataReader::optional_text(const std::string& key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? "" : found->second;
}

std::int64_t MetadataReader::integer(const std::string& key, std::int64_t low,
                                     std::int64_t high) const {
  const std::string& value = text(key);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < low || number > high)
    refuse_value(key, fmt::format("an integer in {} .. {}", low, high));
  return number;
}

std::vector<float> MetadataReader::floats(const std::string& key) const {
  std::vector<float> values;
  for (const std::string& part : split_text(optional_text(key), ',')) {
    values.push_back(0.0F);
    if (!read_float(part, values.back())) refuse_value(key, "numbers separated by commas");
  }
  return values;
}

std::array<float, 3> MetadataReader::three_floats(const std::string& key) const {
  const auto parts = split_text(text(key), ',');
  std::array<float, 3> values{};
  bool good = parts.size() == values.size();
  for (std::size_t i = 0; good && i < values.size(); ++i) good = read_float(parts[i], values[i]);
  if (!good) refuse_value(key, "three numbers separated by commas");
  return values;
}

NetworkOptions MetadataReader::options(const std::string& key) const {
  NetworkOptions options;
  try {
    for (const std::string& line : split_text(optional_text(key), '\n')) add_option(options, line);
  } catch (const ConfigError& error) {
    fail(key, "is wrong", error.what());
  }
  return options;
}

NetworkPart MetadataReader::part(const std::string& prefix) const {
  return {.first_block = integer(prefix + "first_block", 0, kMaxCount),
          .end_block = integer(prefix + "end_block", 0, kMaxCount),
          .first_exit = integer(prefix + "first_exit", 1, kMaxCount),
          .last_exit = integer(prefix + "last_exit", 0, kMaxCount)};
}

void MetadataReader::refuse_value(const std::string& key, const std::string& expected) const {
  fail(key, fmt::format("is '{}'", printable(text(key))), "expected " + expected);
}

void MetadataReader::fail(const std::string& key, const std::string& came,
                          const std::string& expected) const {
  throw DataError(fmt::format("[{}] metadata '{}' {}; {}", place_, key, came, expected));
}

void add_part(Metadata& metadata, const std::string& prefix, const NetworkPart& part) {
  metadata[prefix + "first_block"] = std::to_string(part.first_block);
  metadata[prefix + "end_block"] = std::to_string(part.end_block);
  metadata[prefix + "first_exit"] = std::to_string(part.first_exit);
  metadata[prefix + "last_exit"] = std::to_string(part.last_exit);
}

}  // namespace branchy
