// What measurements of split inference give: a row a method and setting, as text, JSON, CSV, SVG.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "experiments/latency_summary.h"

namespace branchy {

/// One image of a measurement.
struct SplitSample {
  double ms = 0;  ///< from the image at the edge to its class
  bool right = false, offloaded = false, degraded = false;
  std::int64_t exit = 0;  ///< the last one computed, from 1
  double bytes_up = 0, bytes_down = 0;
  double edge_ms = 0, cloud_ms = 0;  ///< computing
};

struct SplitRow {
  std::string method;
  double p_tar = std::numeric_limits<double>::quiet_NaN();  ///< NaN: has none
  LatencySummary latency;
  double accuracy = 0, offloaded = 0;   ///< shares of all images
  double bytes_up = 0, bytes_down = 0;  ///< means over all images, HTTP headers included
  double edge_ms = 0, cloud_ms = 0;     ///< means over all images
  std::int64_t degraded = 0;
};

[[nodiscard]] SplitRow summarize_samples(std::string method, double p_tar,
                                         const std::vector<SplitSample>& samples);
/// Lines end with '\n'.
[[nodiscard]] std::string split_text(const std::vector<SplitRow>& rows);
[[nodiscard]] std::string split_csv(const std::vector<SplitRow>& rows);
/// A JSON array.
[[nodiscard]] std::string split_json(const std::vector<SplitRow>& rows);
/// Mean latency with its interval over p_tar, a curve a method; those without p_tar are level.
void write_split_svg(const std::vector<SplitRow>& rows, const std::string& title,
                     const std::filesystem::path& path);

}  // namespace branchy
