#include "experiments/step_program.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/printable.h"
#include "infer/percentile.h"

namespace branchy {

namespace {

constexpr std::chrono::minutes kPatience(10);

/// The last line that is not empty.
std::string last_line(std::string text) {
  text.erase(text.find_last_not_of(" \n") + 1);
  return text.substr(text.rfind('\n') + 1);
}

std::string hear_line(ChildProgram& process, const std::string& name) {
  if (const auto line = process.hear(kPatience)) return *line;
  const bool ended = process.wait(std::chrono::seconds(1)).has_value();
  throw IoError(fmt::format("[{}] {}; the last line of its log: '{}'", name,
                            ended ? "ended" : "said nothing for ten minutes",
                            one_line(last_line(process.log()))));
}

nlohmann::json hear_json(ChildProgram& process, const std::string& name) {
  const std::string line = hear_line(process, name);
  nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object())
    throw DataError(fmt::format("[{}] said '{}', expected a line of JSON", name, printable(line)));
  return json;
}

template <typename Value>
Value value_of(const nlohmann::json& json, const char* key, const std::string& name) {
  try {
    return json.at(key).get<Value>();
  } catch (const nlohmann::json::exception&) {
    throw DataError(
        fmt::format("[{}] said '{}', expected \"{}\" in it", name, printable(json.dump()), key));
  }
}

ChildOptions child_options(const StepProgramOptions& options, const std::filesystem::path& folder) {
  return {.command = options.command,
          .log = folder / (options.name + ".log"),
          .environment = options.environment,
          .converses = true};
}

}  // namespace

StepProgram::StepProgram(const StepProgramOptions& options, const std::filesystem::path& folder)
    : name_(options.name), process_(child_options(options, folder)) {
  const nlohmann::json facts = hear_json(process_, name_);
  program_ = value_of<std::string>(facts, "program", name_);
  parameters_ = value_of<std::int64_t>(facts, "parameters", name_);
  macs_ = value_of<std::int64_t>(facts, "macs", name_);
}

double StepProgram::median_ms(std::int64_t count) {
  process_.say(std::to_string(count));
  const nlohmann::json answer = hear_json(process_, name_);
  peak_mib_ = value_of<double>(answer, "peak_mib", name_);
  const double median = percentile(value_of<std::vector<double>>(answer, "ms", name_), 0.5);
  if (!(median > 0.0))
    throw DataError(fmt::format("[{}] said '{}', expected times above 0 in \"ms\"", name_,
                                printable(answer.dump())));
  return median;
}

std::string hear_once(const StepProgramOptions& options, const std::filesystem::path& folder) {
  ChildProgram process(child_options(options, folder));
  return hear_line(process, options.name);
}

}  // namespace branchy
