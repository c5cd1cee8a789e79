// Import of weights that others published, or that this project wrote, into a network.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "layers/network.h"
#include "layers/weight_names.h"
#include "layers/weight_origin.h"

namespace branchy {

struct ImportOptions {
  std::optional<WeightFamily> from = {};  ///< empty: recognised by the names in the file
  bool strict = false;  ///< refuse tensors that the network does not use, or that it lacks
  /// The last linear layer of every exit starts anew, as does what else in the exits does not fit:
  /// for another number of classes.
  bool replace_head = false;
};

/// Names of tensors are the file's in `unused`, the network's elsewhere.
struct ImportReport {
  WeightFamily family = WeightFamily::kBranchy;
  std::int64_t filled = 0;             ///< tensors of the network that the file gave
  std::vector<std::string> unfilled;   ///< in early exits, not in the file; left as they were
  std::vector<std::string> replaced;   ///< left as they were by `replace_head`
  std::vector<std::string> unused;     ///< in the file, no place in the network
  std::vector<std::string> converted;  ///< biases folded into batch norm, pooled weights summed
  WeightOrigin origin;                 ///< what `export_weights` needs to write the same file

  /// For people: the family and each list above that is not empty.
  [[nodiscard]] std::vector<std::string> lines() const;
};

/// Fills `network` from a safetensors file with names of any family that has this network (see
/// weight_names.h). Prefixes of wrappers are taken off; counters of batch norm are kept aside, and
/// a file without them is as good; where the network's convolution has no bias it is folded into
/// the running mean behind it; [O,I,1,1] and [O,I] are the same; the classifier of a network that
/// pools 1x1 features up to 7x7 ahead of it is summed over the 49 places, which gives the same
/// output. Of model files with averaged weights those are taken.
///
/// The whole trunk and final exit must be in the file (DataError naming what is missing). Throws
/// DataError for a tensor of another shape, for a file that is no safetensors and, when strict, for
/// unused or unfilled tensors; ConfigError for a family that does not have the network. Then the
/// network is as it was.
ImportReport import_weights(MultiExitNetwork& network, const std::filesystem::path& path,
                            const ImportOptions& options = {});
ImportReport import_weights(MultiExitNetwork& network, const SafetensorsFile& file,
                            const ImportOptions& options = {});

/// The configuration with what only the weights tell: `classes` 0 becomes the number of rows of the
/// final layer; unless the option is given, a resnet44 whose file has no projections gets
/// shortcut=option-a and a vgg16_bn the `hidden` width of the file. Throws what `make_network` and
/// `import_weights` do.
[[nodiscard]] NetworkConfig config_for_weights(NetworkConfig config, const SafetensorsFile& file,
                                               const ImportOptions& options = {});

}  // namespace branchy
