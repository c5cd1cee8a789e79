// `--measure FILE` of branchy-edge and branchy-cloud: the times of a model's parts on this machine.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "infer/model.h"

namespace CLI {
class App;
}

namespace branchy {

/// `--measure` and `--repeat`.
void add_measure_options(CLI::App& app, std::string& file, std::int64_t& repeat);
/// Measures (see `measure_layers`), writes `file` (see LayerTimes) and prints a table.
void write_measured_times(const ServedModel& model, const std::string& file, std::int64_t repeat,
                          const std::function<bool()>& stop);

}  // namespace branchy
