#include "experiments/lee_trends.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>

namespace branchy {

namespace {

using Value = std::function<std::optional<double>(const LeeRow&)>;
using Rows = std::vector<const LeeRow*>;

void compare(LeeTrend& trend, const LeeRow& low, const LeeRow& high, const Value& value) {
  const auto a = value(low);
  const auto b = value(high);
  if (!a || !b) return;
  ++trend.compared;
  if (*a <= *b)
    ++trend.holding;
  else
    trend.against.push_back(fmt::format("{} at T {}: {:.2f} %, {} at T {}: {:.2f} %", low.name(),
                                        low.threshold, 100.0 * *a, high.name(), high.threshold,
                                        100.0 * *b));
}

/// Neighbours in `order` within each group of equal `key`, of one kind of network; the value must
/// not fall, or not rise.
template <typename Key, typename Order>
LeeTrend along(std::span<const LeeRow> rows, bool multi_exit, std::string statement, bool rises,
               const Value& value, const Key& key, const Order& order) {
  LeeTrend trend{.statement = std::move(statement), .against = {}};
  std::map<double, Rows> groups;
  for (const LeeRow& row : rows)
    if (row.multi_exit == multi_exit) groups[key(row)].push_back(&row);
  for (auto& [unused, group] : groups) {
    std::sort(group.begin(), group.end(),
              [&](const LeeRow* a, const LeeRow* b) { return order(*a) < order(*b); });
    for (std::size_t i = 1; i < group.size(); ++i)
      if (rises)
        compare(trend, *group[i - 1], *group[i], value);
      else
        compare(trend, *group[i], *group[i - 1], value);
  }
  return trend;
}

/// Each SEM against the multi-exit model with the same exit active.
LeeTrend single_beats_multi(std::span<const LeeRow> rows, std::string statement,
                            const Value& value) {
  LeeTrend trend{.statement = std::move(statement), .against = {}};
  for (const LeeRow& multi : rows)
    for (const LeeRow& single : rows)
      if (multi.multi_exit && !single.multi_exit && multi.block == single.block &&
          multi.threshold == single.threshold)
        compare(trend, multi, single, value);
  return trend;
}

}  // namespace

std::string LeeTrend::verdict() const {
  if (compared == 0) return "not compared";
  return fmt::format("{} ({} of {})", holds() ? "holds" : "does not hold", holding, compared);
}

std::vector<LeeTrend> lee_trends(std::span<const LeeRow> rows) {
  const Value local = [](const LeeRow& row) { return std::optional(row.local_share()); };
  const Value exited = [](const LeeRow& row) { return row.acc_exited; };
  const Value cloud = [](const LeeRow& row) { return row.acc_cloud; };
  const Value overall = [](const LeeRow& row) { return std::optional(row.overall); };
  const Value all = [](const LeeRow& row) { return std::optional(row.acc_all); };
  const auto block = [](const LeeRow& row) { return static_cast<double>(row.block); };
  const auto threshold = [](const LeeRow& row) { return row.threshold; };
  std::vector<LeeTrend> trends;
  for (const bool multi : {false, true}) {
    const std::string kind = multi ? "MEM: " : "SEM: ";
    const auto with_depth = [&](const std::string& what, bool rises, const Value& value) {
      trends.push_back(along(rows, multi, kind + what, rises, value, threshold, block));
    };
    const auto with_threshold = [&](const std::string& what, bool rises, const Value& value) {
      trends.push_back(along(rows, multi, kind + what, rises, value, block, threshold));
    };
    with_depth("local share grows with the exit's depth", true, local);
    with_threshold("local share grows with T", true, local);
    with_depth("edge accuracy (acc_exited) grows with depth", true, exited);
    with_threshold("edge accuracy (acc_exited) falls with T", false, exited);
    with_depth("cloud accuracy falls with depth", false, cloud);
    with_threshold("cloud accuracy falls with T", false, cloud);
    with_threshold("overall accuracy falls with T", false, overall);
    with_depth("accuracy of all samples at the exit (acc_all) grows with depth", true, all);
  }
  trends.push_back(
      single_beats_multi(rows, "SEM-k is at least as accurate (acc_all) as MEM exit k", all));
  trends.push_back(
      single_beats_multi(rows, "SEM-k answers at least as many locally as MEM exit k", local));
  trends.push_back(
      single_beats_multi(rows, "SEM-k is overall at least as accurate as MEM exit k", overall));
  return trends;
}

}  // namespace branchy
