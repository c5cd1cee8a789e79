#include "infer/adapt_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/printable.h"
#include "infer/latency_model.h"
#include "infer/policies/policy_text.h"
#include "layers/metadata_reader.h"

namespace branchy {

namespace {

constexpr const char* kTableKey = "adapt.table";
constexpr const char* kLimitKey = "adapt.limit_ms";
constexpr const char* kTemperaturesKey = "adapt.temperatures";
constexpr std::string_view kInfeasible = "infeasible";

[[noreturn]] void refuse(const std::string& key, const std::string& came,
                         const std::string& expected) {
  throw DataError(
      fmt::format("[model file] record {} holds '{}', expected {}; run `branchy adapt` "
                  "again",
                  key, printable(came), expected));
}

/// The whole text as a finite number.
std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

AdaptRow parse_row(const std::string& line) {
  const std::vector<std::string> words = split_text(line, ' ');
  const bool marked = words.size() == 3 && words[2] == kInfeasible;
  const bool two = words.size() == 2 || marked;
  const auto bandwidth = two ? number(words[0]) : std::nullopt;
  if (!bandwidth || words[1].empty())
    refuse(kTableKey, line, "lines BITS_PER_SECOND POLICY [infeasible]");
  return {.bits_per_second = *bandwidth, .policy = words[1], .feasible = !marked};
}

std::string temperatures_text(const ModelInfo& info) {
  return fmt::format("{}", fmt::join(info.temperatures, ","));
}

}  // namespace

AdaptTable::AdaptTable(std::vector<AdaptRow> rows, double limit_ms)
    : rows_(std::move(rows)), limit_ms_(limit_ms) {
  if (rows_.empty()) throw ConfigError("[adapt] a table without rows, expected one at least");
  if (!(limit_ms_ > 0.0 && std::isfinite(limit_ms_)))
    throw ConfigError(
        fmt::format("[adapt] limit {} ms, expected a positive, finite number", limit_ms_));
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    require_bandwidth("adapt", rows_[i].bits_per_second);
    if (i > 0 && rows_[i].bits_per_second <= rows_[i - 1].bits_per_second)
      throw ConfigError(fmt::format("[adapt] bandwidths {} and {} bit/s, expected rising ones",
                                    rows_[i - 1].bits_per_second, rows_[i].bits_per_second));
  }
}

std::optional<AdaptTable> AdaptTable::from(const ModelInfo& info) {
  const auto table = info.records.find(kTableKey);
  if (table == info.records.end()) return {};
  const auto record = [&](const char* key) {
    const auto found = info.records.find(key);
    if (found == info.records.end()) refuse(key, "nothing", "a value beside adapt.table");
    return found->second;
  };
  const std::string limit = record(kLimitKey);
  const auto limit_ms = number(limit);
  if (!limit_ms) refuse(kLimitKey, limit, "milliseconds");
  const std::string temperatures = record(kTemperaturesKey);
  if (temperatures != temperatures_text(info))
    throw DataError(
        fmt::format("[model file] the table of bandwidths was made with temperatures '{}', now "
                    "they are '{}'; run `branchy adapt` again",
                    printable(temperatures), temperatures_text(info)));
  std::vector<AdaptRow> rows;
  for (const std::string& line : split_text(table->second, '\n')) rows.push_back(parse_row(line));
  try {
    for (const AdaptRow& row : rows)
      (void)parse_policy(row.policy, info.config.early_exits + 1, info.records);
    return AdaptTable(std::move(rows), *limit_ms);
  } catch (const ConfigError& error) {
    throw DataError(fmt::format("[model file] records adapt.*: {}", error.what()));
  }
}

const AdaptRow& AdaptTable::at(double bits_per_second) const {
  require_bandwidth("adapt", bits_per_second);
  const auto above = std::upper_bound(
      rows_.begin(), rows_.end(), bits_per_second,
      [](double bandwidth, const AdaptRow& row) { return bandwidth < row.bits_per_second; });
  return above == rows_.begin() ? rows_.front() : *std::prev(above);
}

void AdaptTable::store(ModelInfo& info) const {
  std::vector<std::string> lines;
  lines.reserve(rows_.size());
  for (const AdaptRow& row : rows_)
    lines.push_back(fmt::format("{} {}{}", row.bits_per_second, row.policy,
                                row.feasible ? "" : fmt::format(" {}", kInfeasible)));
  info.records[kTableKey] = fmt::format("{}", fmt::join(lines, "\n"));
  info.records[kLimitKey] = fmt::format("{}", limit_ms_);
  info.records[kTemperaturesKey] = temperatures_text(info);
}

}  // namespace branchy
