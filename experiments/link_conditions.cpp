#include "experiments/link_conditions.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {
namespace {

using nlohmann::json;

struct Field {
  std::string_view name;
  double most;
  void (*set)(LinkConditions&, double);
};

constexpr double kMostMbit = 1e6, kMostMs = 3.6e6, kMostBytes = 1e15;

constexpr std::array<Field, 10> kFields{{
    {"up_mbit", kMostMbit, [](LinkConditions& c, double value) { c.up_mbit = value; }},
    {"down_mbit", kMostMbit, [](LinkConditions& c, double value) { c.down_mbit = value; }},
    {"mbit", kMostMbit, [](LinkConditions& c, double value) { c.up_mbit = c.down_mbit = value; }},
    {"round_trip_ms", kMostMs, [](LinkConditions& c, double value) { c.round_trip_ms = value; }},
    {"jitter_ms", kMostMs, [](LinkConditions& c, double value) { c.jitter_ms = value; }},
    {"reset_probability", 1, [](LinkConditions& c, double value) { c.reset_probability = value; }},
    {"reset_after_bytes", kMostBytes,
     [](LinkConditions& c, double value) {
       c.reset_after_bytes = static_cast<std::int64_t>(value);
     }},
    {"cut_answer_after_bytes", kMostBytes,
     [](LinkConditions& c, double value) {
       c.cut_answer_after_bytes = static_cast<std::int64_t>(value);
     }},
    {"stalled", 1, [](LinkConditions& c, double value) { c.stalled = value != 0; }},
    {"black_hole", 1, [](LinkConditions& c, double value) { c.black_hole = value != 0; }},
}};

void check_range(std::string_view name, double value, double most) {
  if (!(value >= 0 && value <= most))
    throw ConfigError(fmt::format("[link] {} is {}, expected 0..{:g}", name, value, most));
}

LinkChange read_change(const json& object) {
  LinkChange change;
  change.at_ms = object.at("at_ms").get<double>();
  for (const auto& [name, value] : object.items()) {
    if (name == "at_ms") continue;
    if (name == "reset") {
      change.reset = value.get<bool>();
    } else {
      change.values.emplace_back(
          name, value.is_boolean() ? static_cast<double>(value.get<bool>()) : value.get<double>());
    }
  }
  return change;
}

}  // namespace

LinkScript parse_link_script(std::string_view text, std::string_view place) {
  LinkScript script;
  try {
    const json root = json::parse(text);
    for (const auto& [name, value] : root.items()) {
      if (name != "loop_ms" && name != "changes")
        throw ConfigError(
            fmt::format("unknown key '{}', expected 'changes' or 'loop_ms'", printable(name)));
    }
    script.loop_ms = root.value("loop_ms", 0.0);
    check_range("loop_ms", script.loop_ms, kMostMs);
    double last_ms = 0;
    for (const json& object : root.at("changes")) {
      script.changes.push_back(read_change(object));
      const LinkChange& change = script.changes.back();
      check_range("at_ms", change.at_ms, kMostMs);
      std::ignore = changed({}, change);
      if (change.at_ms < last_ms)
        throw ConfigError(
            fmt::format("at_ms {} comes after {}, expected rising times", change.at_ms, last_ms));
      last_ms = change.at_ms;
    }
    if (script.loop_ms > 0 && script.loop_ms < last_ms)
      throw ConfigError(
          fmt::format("loop_ms {} lies before the last change at {}", script.loop_ms, last_ms));
  } catch (const json::exception& error) {
    throw DataError(fmt::format("[{}] no link script: {}", place, printable(error.what())));
  } catch (const ConfigError& error) {
    throw DataError(fmt::format("[{}] {}", place, error.what()));
  }
  return script;
}

LinkScript load_link_script(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file)
    throw IoError(fmt::format("[{}] cannot open the link script; check the path", path.string()));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return parse_link_script(text, path.string());
}

LinkConditions changed(LinkConditions conditions, const LinkChange& change) {
  for (const auto& [name, value] : change.values) {
    bool known = false;
    for (const Field& field : kFields) {
      if (field.name != name) continue;
      check_range(name, value, field.most);
      field.set(conditions, value);
      known = true;
    }
    if (!known) {
      std::string names;
      for (const Field& field : kFields) names += fmt::format(" {}", field.name);
      throw ConfigError(
          fmt::format("[link] unknown condition '{}', expected one of:{}", printable(name), names));
    }
  }
  return conditions;
}

void check_link(const LinkConditions& c) {
  check_range("up_mbit", c.up_mbit, kMostMbit);
  check_range("down_mbit", c.down_mbit, kMostMbit);
  check_range("round_trip_ms", c.round_trip_ms, kMostMs);
  check_range("jitter_ms", c.jitter_ms, kMostMs);
  check_range("reset_probability", c.reset_probability, 1);
  check_range("reset_after_bytes", static_cast<double>(c.reset_after_bytes), kMostBytes);
  check_range("cut_answer_after_bytes", static_cast<double>(c.cut_answer_after_bytes), kMostBytes);
}

}  // namespace branchy
