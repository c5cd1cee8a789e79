// ModelInfo: what a model file says about itself beside the weights.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/safetensors.h"
#include "layers/network.h"

namespace branchy {

/// What a model file says about itself beside the weights.
struct ModelInfo {
  NetworkConfig config;
  NetworkPart part;                      ///< the blocks and exits that the file holds
  std::vector<std::string> class_names;  ///< empty when unknown
  std::array<float, 3> mean{}, std{};    ///< per-channel normalisation of pixels in 0..1
  std::int64_t val_count = 0;            ///< training images held out by seed, never trained on
  std::uint64_t val_seed = 0;
  std::string cut;  ///< name of the block after which the split is; "" if whole
  /// Of photographs: how they were split and made square (DataSource); "" when unknown.
  std::string data_split, data_transforms;
  std::vector<std::string> data_test_list;  ///< paths of the test images, if a list named them
  /// Positive, one for each exit of the whole network: softmax takes logits / temperature. Empty
  /// when the exits are not calibrated: 1 for all.
  std::vector<float> temperatures = {};
  /// What was chosen or learned about the model after training, in metadata under the keys of
  /// `is_record_key`; whoever writes a record reads it.
  std::map<std::string, std::string> records = {};

  [[nodiscard]] float temperature(std::int64_t exit) const;
};

/// Whether a key is a record's: begins with calibration. policy. adapt. predictor. codec. or int8.
/// and does not describe an attached network.
[[nodiscard]] bool is_record_key(std::string_view key);

/// The metadata that describes `info`; the inverse of `parse_model_info`.
[[nodiscard]] Metadata to_metadata(const ModelInfo& info);
/// Whether the metadata say that branchy wrote the file; the other functions refuse it if not.
[[nodiscard]] bool is_model_file(const SafetensorsFile& file);
/// Throws DataError naming `place`, the file, and the key that is missing or wrong.
[[nodiscard]] ModelInfo parse_model_info(const Metadata& metadata, std::string_view place);
[[nodiscard]] ModelInfo parse_model_info(const SafetensorsFile& file);

}  // namespace branchy
