// Model files: a network (or one side of a split) with everything needed to use it, in safetensors.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/safetensors.h"
#include "layers/attachment.h"
#include "layers/model_info.h"
#include "layers/network.h"

namespace branchy {

/// Checkpoints of training are model files with more tensors: the optimiser's, and a second set of
/// weights averaged over the steps, which `load_model` prefers.
inline constexpr std::string_view kOptimizerPrefix = "optimizer.";
inline constexpr std::string_view kAveragePrefix = "average.";
/// Tensors that published weights had and the network has no place for (WeightOrigin).
inline constexpr std::string_view kOriginPrefix = "origin.";

/// Builds the network of `info` and fills the part that the file holds. Missing, surplus or
/// wrongly shaped tensors throw DataError listing them.
struct LoadedModel {
  ModelInfo info;
  std::unique_ptr<MultiExitNetwork> network;
  Attachments attachments;
};
[[nodiscard]] LoadedModel load_model(const std::filesystem::path& path);

/// Throws DataError when the tensors of `file` are too few for a network of so many classes: before
/// memory is taken by the word of its metadata `key`.
void require_plausible_classes(const SafetensorsFile& file, const std::string& key,
                               std::int64_t classes);

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
