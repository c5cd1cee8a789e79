// Model files: a network (or one side of a split) with everything needed to use it, in safetensors.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/safetensors.h"
#include "layers/attachment.h"
#include "layers/network.h"

namespace branchy {

/// Checkpoints of training are model files with more tensors: the optimiser's, and a second set of
/// weights averaged over the steps, which `load_model` prefers.
inline constexpr std::string_view kOptimizerPrefix = "optimizer.";
inline constexpr std::string_view kAveragePrefix = "average.";
/// Tensors that published weights had and the network has no place for (WeightOrigin).
inline constexpr std::string_view kOriginPrefix = "origin.";

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

/// Whether a key is a record's: begins with calibration. policy. adapt. predictor. or codec. and
/// does not describe an attached network.
[[nodiscard]] bool is_record_key(std::string_view key);

/// The metadata that describes `info`; the inverse of `parse_model_info`.
[[nodiscard]] Metadata to_metadata(const ModelInfo& info);
/// Whether the metadata say that branchy wrote the file; the other functions refuse it if not.
[[nodiscard]] bool is_model_file(const SafetensorsFile& file);
/// Throws DataError naming `file` and the key that is missing or wrong.
[[nodiscard]] ModelInfo parse_model_info(const SafetensorsFile& file);

/// Builds the network of `info` and fills the part that the file holds. Missing, surplus or
/// wrongly shaped tensors throw DataError listing them.
struct LoadedModel {
  ModelInfo info;
  std::unique_ptr<MultiExitNetwork> network;
  Attachments attachments;
};
[[nodiscard]] LoadedModel load_model(const std::filesystem::path& path);

/// Whether a tensor of this name belongs to training or an import, not to the network.
[[nodiscard]] bool is_extra_tensor(std::string_view name);

/// Copies tensors of `file` into the state entries (names prefixed with `prefix` in the file).
/// With `exact`, file tensors under `prefix` that no entry takes are an error too (without a
/// prefix those of kOptimizerPrefix, kAveragePrefix and kOriginPrefix are not looked at).
void load_state(const SafetensorsFile& file, const std::string& prefix,
                const std::vector<StateEntry>& state, bool exact);

/// Writes the part of the network that `info.part` names, and the attachments.
void save_model(const std::filesystem::path& path, MultiExitNetwork& network, const ModelInfo& info,
                const Attachments& attachments = {});

}  // namespace branchy
