// AdaptTable: which exit policy suits which bandwidth, chosen by `branchy adapt` and kept in the
// model file.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/model_file.h"

namespace branchy {

/// A policy and the slowest link that it is meant for.
struct AdaptRow {
  double bits_per_second = 0;
  std::string policy;    ///< what `parse_policy` takes
  bool feasible = true;  ///< whether its mean latency kept the limit on the selection data
};

/// Rows of rising bandwidth. A setting that keeps a limit on the mean latency at one bandwidth
/// keeps it at every higher one, so the last row that is not above the link's bandwidth is the one
/// to use: between rows the limit holds as well as at them.
///
/// Records of the model file: `adapt.table` (lines "BITS_PER_SECOND POLICY", with " infeasible"
/// behind rows that break the limit), `adapt.limit_ms`, and what the choice rested on:
/// `adapt.method`, `adapt.select_on`, `adapt.device`, `adapt.sent_bytes`, `adapt.digest` (of the
/// model, see train/logits_cache.h), `adapt.temperatures`.
class AdaptTable {
 public:
  /// Throws ConfigError unless rows are there, bandwidths are finite, positive and rising, and
  /// the limit is positive.
  AdaptTable(std::vector<AdaptRow> rows, double limit_ms);

  /// Nothing when the model has no table. Throws DataError for a malformed record, and for a model
  /// that was calibrated anew since (its confidences are others).
  [[nodiscard]] static std::optional<AdaptTable> from(const ModelInfo& info);

  /// The row for a link of this bandwidth; the first for slower links than any row's. Throws
  /// ConfigError for a bandwidth that is 0, negative or NaN.
  [[nodiscard]] const AdaptRow& at(double bits_per_second) const;

  [[nodiscard]] const std::vector<AdaptRow>& rows() const { return rows_; }
  [[nodiscard]] double limit_ms() const { return limit_ms_; }
  /// `adapt.table`, `adapt.limit_ms` and `adapt.temperatures`, put into `info.records`.
  void store(ModelInfo& info) const;

 private:
  std::vector<AdaptRow> rows_;
  double limit_ms_;
};

}  // namespace branchy
