#include "layers/model_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "core/error.h"
#include "layers/models/registry.h"
#include "layers/name_list.h"

namespace branchy {

namespace {

// The widest classifier reads 4,096 values (AlexNet, VGG16), so a class takes at most this much in
// the network, and what a small file says cannot take more memory than a multiple of its size.
constexpr std::uint64_t kClassBytes = 4096 * sizeof(float);
constexpr std::uint64_t kFreeBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kMostTimesTheFile = 16;

}  // namespace

bool is_model_file(const SafetensorsFile& file) {
  const auto found = file.metadata().find("format");
  return found != file.metadata().end() && found->second.starts_with("branchy");
}

ModelInfo parse_model_info(const SafetensorsFile& file) {
  return parse_model_info(file.metadata(), file.path().string());
}

bool is_extra_tensor(std::string_view name) {
  return is_attachment_tensor(name) || name.starts_with(kOptimizerPrefix) ||
         name.starts_with(kAveragePrefix) || name.starts_with(kOriginPrefix);
}

void require_plausible_classes(const SafetensorsFile& file, const std::string& key,
                               std::int64_t classes) {
  std::uint64_t file_bytes = 0;
  for (const auto& [name, entry] : file.entries()) file_bytes += entry.bytes.size();
  if (static_cast<std::uint64_t>(classes) * kClassBytes >
      kFreeBytes + kMostTimesTheFile * file_bytes)
    throw DataError(
        fmt::format("[{}] metadata '{}' is {}; {} bytes of tensors cannot be those of so many",
                    file.path().string(), key, classes, file_bytes));
}

void load_state(const SafetensorsFile& file, const std::string& prefix,
                const std::vector<StateEntry>& state, bool exact) {
  std::vector<std::string> missing;
  std::set<std::string> surplus_names;
  for (const auto& [name, entry] : file.entries())
    if (prefix.empty() ? !is_extra_tensor(name) : name.starts_with(prefix))
      surplus_names.insert(name);
  for (const StateEntry& entry : state) {
    const std::string name = prefix + entry.name;
    surplus_names.erase(name);
    if (!file.contains(name)) missing.push_back(name);
  }
  const std::vector<std::string> surplus(surplus_names.begin(), surplus_names.end());
  if (!missing.empty())
    throw DataError(fmt::format("[{}] {} tensors missing ({}); the file is of another network",
                                file.path().string(), missing.size(), name_list(missing)));
  if (exact && !surplus.empty())
    throw DataError(fmt::format("[{}] {} surplus tensors ({}); the file is of another network",
                                file.path().string(), surplus.size(), name_list(surplus)));
  for (const StateEntry& entry : state) {
    const Tensor loaded = file.tensor(prefix + entry.name);
    Tensor& target = entry.variable->mutable_value();
    if (loaded.shape() != target.shape())
      throw DataError(fmt::format("[{}] tensor {}{} has shape {}, the network expects {}",
                                  file.path().string(), prefix, entry.name,
                                  loaded.shape().to_string(), target.shape().to_string()));
    target.copy_from(loaded);
  }
}

LoadedModel load_model(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  LoadedModel model{parse_model_info(file), nullptr, {}};
  require_plausible_classes(file, "classes", model.info.config.classes);
  Rng rng(0);
  try {
    model.network = make_network(model.info.config, rng);
  } catch (const ConfigError& error) {
    throw DataError(fmt::format("[{}] describes a network that cannot be built: {}", path.string(),
                                error.what()));
  }
  const NetworkPart whole = model.network->whole();
  const NetworkPart& part = model.info.part;
  if (part.first_block > part.end_block || part.end_block > whole.end_block ||
      part.first_exit > part.last_exit + 1 || part.last_exit > whole.last_exit)
    throw DataError(
        fmt::format("[{}] holds blocks {}..{} and exits {}..{}, {} has {} blocks and {} exits",
                    path.string(), part.first_block, part.end_block, part.first_exit,
                    part.last_exit, model.info.config.name, whole.end_block, whole.last_exit));
  const std::vector<StateEntry> state = model.network->state(part);
  const std::string average(kAveragePrefix);
  const bool averaged = !state.empty() && file.contains(average + state.front().name);
  load_state(file, averaged ? average : "", state, /*exact=*/true);
  model.attachments = load_attachments(file);
  return model;
}

void save_model(const std::filesystem::path& path, MultiExitNetwork& network, const ModelInfo& info,
                const Attachments& attachments) {
  std::map<std::string, Tensor> tensors;
  for (const StateEntry& entry : network.state(info.part))
    tensors.emplace(entry.name, entry.variable->value());
  Metadata metadata = to_metadata(info);
  add_attachments(attachments, tensors, metadata);
  write_safetensors(path, tensors, metadata);
}

}  // namespace branchy
