#include "infer/measure_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "core/atomic_file.h"
#include "infer/layer_stopwatch.h"

namespace branchy {

void add_measure_options(CLI::App& app, std::string& file, std::int64_t& repeat) {
  auto* measure = app.add_option(
      "--measure", file,
      "Instead: time each trunk block, exit, predictor and codec of the model on this machine, one "
      "sample at a time; JSON for `branchy adapt` and `branchy plan`");
  // The parser would take the next flag for the file.
  measure->check([](const std::string& value) {
    return value.starts_with("-") ? fmt::format("expected a file, came {}", value) : std::string();
  });
  app.add_option("--repeat", repeat, "Timed runs of --measure")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}))
      ->needs(measure)
      ->capture_default_str();
}

void write_measured_times(const ServedModel& model, const std::string& file, std::int64_t repeat,
                          const std::function<bool()>& stop) {
  const MeasuredTimes times = measure_layers(model, repeat, stop);
  write_file_atomically(file, to_json(times.median, &times.p95));
  fmt::print("{}{} runs, written to {}\n", to_table(times), times.median.runs, file);
}

}  // namespace branchy
