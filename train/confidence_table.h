// ConfidenceTable: what threshold policies need to know of a data set, and no more.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/policy_simulation.h"

namespace branchy {

/// Rows are samples, or groups of samples that no threshold of a grid tells apart.
struct ConfidenceTable {
  std::int64_t num_exits = 0;              ///< the final one included
  std::vector<float> confidence = {};      ///< [rows, exits]: maximum of softmax after temperature
  std::vector<std::uint8_t> correct = {};  ///< [rows, exits]: whether the class is the label
  std::vector<float> scores = {};          ///< [rows, early exits] of the Exit Predictor, or empty
  std::vector<std::int64_t> weight = {};   ///< [rows]: samples that a row stands for

  [[nodiscard]] std::int64_t num_rows() const { return static_cast<std::int64_t>(weight.size()); }
  [[nodiscard]] std::int64_t num_samples() const;
};

/// `with_scores` takes those of the predictor too.
[[nodiscard]] ConfidenceTable confidence_table(const StoredExits& stored, bool with_scores);

/// The same for policies whose thresholds are all among `lambdas` and `gammas`: confidences and
/// scores fall to the threshold below, equal rows become one. Several times smaller.
[[nodiscard]] ConfidenceTable grouped(const ConfidenceTable& table, std::span<const float> lambdas,
                                      std::span<const float> gammas);

}  // namespace branchy
