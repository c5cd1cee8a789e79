// Measuring what each part of a served model takes on this machine, one sample at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "infer/layer_times.h"
#include "infer/model.h"

namespace branchy {

/// The same parts twice.
struct MeasuredTimes {
  LayerTimes median, p95;
};

/// Runs the whole of what the file holds `runs` (>= 1) times at batch size 1, after some runs that
/// do not count, with the calling thread's thread count; then the predictor, encoder or decoder as
/// often. Inputs are seeded noise: the time does not depend on them. A trunk piece is the sum of
/// its blocks in the same run, and left out unless all of them are held. `stop` is asked between
/// runs; true ends the measuring with the runs so far (at least one).
[[nodiscard]] MeasuredTimes measure_layers(const ServedModel& model, std::int64_t runs,
                                           const std::function<bool()>& stop = {});

/// For people: a line a part.
[[nodiscard]] std::string to_table(const MeasuredTimes& times);

}  // namespace branchy
