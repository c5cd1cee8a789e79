// ExpectedAnswers: what edge and cloud must say of each image, computed in one process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "infer/model.h"
#include "infer/policies/prediction.h"

namespace branchy {

/// A line of `branchy-edge --out`.
struct EdgeLine {
  std::int64_t index = 0, exit = 0, label = 0;  ///< label: the class answered
  double confidence = 0;
  bool degraded = false, from_cloud = false;
  std::string reason;  ///< why degraded
};

/// Throws DataError naming the line that is no such object.
[[nodiscard]] std::vector<EdgeLine> parse_edge_lines(std::string_view text);

/// Under the policy max-probability with one threshold for all early exits.
class ExpectedAnswers {
 public:
  /// The first `count` images through both sides of an export, its codec included, all exits, one
  /// by one.
  ExpectedAnswers(const ServedModel& edge, const ServedModel& cloud, const Dataset& images,
                  std::int64_t count, float threshold);

  [[nodiscard]] std::int64_t size() const { return std::ssize(predictions_); }
  /// A threshold that sends about half of the images to the cloud: the median confidence of the
  /// last early exit before the cut.
  [[nodiscard]] float middle_threshold() const;
  void set_threshold(float threshold) { threshold_ = threshold; }
  [[nodiscard]] float threshold() const { return threshold_; }
  /// Of the largest code that a feature became; 0 without a codec.
  [[nodiscard]] std::int64_t code_bytes() const { return code_bytes_; }
  /// Of images that need the cloud.
  [[nodiscard]] std::int64_t num_offloaded() const;

  /// "" when the answer is right, else what is wrong. Right is the exit and class of the first exit
  /// that is sure enough; of a degraded answer the most confident exit before the cut, and the
  /// image must have needed the cloud. Confidences within 1e-5 of the threshold may go either way.
  [[nodiscard]] std::string wrong_with(const EdgeLine& line) const;

 private:
  [[nodiscard]] std::int64_t expected_exit(const std::vector<Prediction>& image) const;
  [[nodiscard]] bool on_the_threshold(const std::vector<Prediction>& image) const;

  std::vector<std::vector<Prediction>> predictions_;  ///< [image][exit - 1]
  std::int64_t num_edge_exits_, code_bytes_ = 0;
  float threshold_;
};

}  // namespace branchy
