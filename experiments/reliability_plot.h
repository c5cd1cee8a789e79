// Reliability diagrams from the report of `branchy calibrate`.
#pragma once

#include <filesystem>
#include <string>

#include "experiments/gnuplot.h"

namespace branchy {

/// One panel an exit: accuracy over mean confidence of each bin before and after calibration with
/// 95 % intervals (Wilson 1927), the diagonal, and the share of the samples in each bin after.
/// `report` is a file of `branchy calibrate --report`; `part` is that of one of its effects, "" the
/// data of the fit. Throws IoError or DataError naming the file; ConfigError for a part that the
/// report does not have.
[[nodiscard]] Plot reliability_plot(const std::filesystem::path& report, const std::string& part);

}  // namespace branchy
