// Export of a network's weights under the names that others give them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/half.h"
#include "layers/model_file.h"
#include "layers/weight_names.h"
#include "layers/weight_origin.h"

namespace branchy {

struct ExportOptions {
  WeightFamily to = WeightFamily::kBranchy;
  std::optional<FloatType> dtype = {};  ///< empty: that of the origin, F32 for kBranchy
  /// Write num_batches_tracked of every batch norm (0 where it is unknown), not only those that the
  /// origin had.
  bool counters = false;
};

struct ExportReport {
  std::int64_t written = 0;
  std::vector<std::string> left_out;  ///< early exits, for which other families have no name
};

/// Writes a safetensors file: for kBranchy a model file with `info` and `origin`; for others trunk
/// and final exit with the metadata format=pt.
///
/// Import and export to the family of `origin` is byte-equal: the same names, dtypes, shapes, order
/// and bytes, and so the same file where its metadata was format=pt alone. This includes counters,
/// wrapper prefixes and convolution biases (a bias whose batch norm has been trained since is
/// written as 0). Not restored: what the import did not use, classifiers that it summed, a mixture
/// of float types, an order that is neither sorted nor the network's.
///
/// Throws ConfigError when the family does not have the network, NumericError for values beyond the
/// dtype, IoError.
ExportReport export_weights(const std::filesystem::path& path, MultiExitNetwork& network,
                            const ModelInfo& info, const WeightOrigin& origin,
                            const ExportOptions& options);

}  // namespace branchy
