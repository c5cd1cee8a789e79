// EdgeReport: what became of many images, as JSON lines, a table and a summary.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "infer/edge_pipeline.h"

namespace branchy {

/// One classified image.
struct EdgeResult {
  std::optional<std::int64_t> index;  ///< in the data set
  std::string file;                   ///< or the image file
  std::optional<std::int64_t> label;
  std::string class_name;  ///< may be empty
  EdgeOutcome outcome;
  bool is_adaptive = false;  ///< of an edge that follows the bandwidth
};

/// One JSON object, without a newline.
[[nodiscard]] std::string to_json(const EdgeResult& result);

class EdgeReport {
 public:
  void add(const EdgeResult& result);
  /// The link as it was at the end, and what measuring it took.
  void set_link(const EdgeStatus& status);

  [[nodiscard]] std::int64_t num_images() const { return total_.num_images; }
  [[nodiscard]] std::int64_t num_degraded() const { return num_degraded_; }
  /// By exit whose class was taken: share of images, accuracy, median and 95th percentile of the
  /// latency (of the last 65,536 images), mean bytes sent; then all together. Images that the
  /// policy drops belong to no exit and have no accuracy. Lines end with '\n'.
  [[nodiscard]] std::string table() const;
  /// The same numbers as one JSON object.
  [[nodiscard]] std::string json() const;

 private:
  // Bounds the memory of an edge that runs for months.
  static constexpr std::int64_t kNumLatencies = 1 << 16;

  struct Group {
    std::int64_t num_images = 0, num_labelled = 0, num_right = 0, num_from_cloud = 0;
    std::int64_t bytes_sent = 0;
    std::vector<double> latencies_ms;  ///< of the last kNumLatencies images

    void add(const EdgeResult& result);
    [[nodiscard]] double percentile_ms(double share) const;
  };

  [[nodiscard]] std::optional<double> bits_per_second() const;

  std::map<std::int64_t, Group> by_exit_;
  Group total_;
  std::map<std::string, std::int64_t> by_policy_;
  std::int64_t num_degraded_ = 0, num_hedged_ = 0, num_fallback_ = 0, num_dropped_ = 0;
  std::map<std::string, std::int64_t> by_reason_;  ///< of those degraded or hedged
  EdgeStatus status_;
};

}  // namespace branchy
