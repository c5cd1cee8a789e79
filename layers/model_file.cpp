#include "layers/model_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "core/error.h"
#include "core/printable.h"
#include "layers/initialization.h"
#include "layers/metadata_reader.h"
#include "layers/models/registry.h"
#include "layers/name_list.h"
#include "layers/network_options.h"

namespace branchy {

namespace {

constexpr std::string_view kFormat = "branchy-1";
/// Lines KEY=VALUE; left out when there are none, as in files older than the key.
constexpr const char* kOptionsKey = "options";
constexpr const char* kTemperaturesKey = "temperatures";
constexpr std::array<std::string_view, 5> kRecordPrefixes = {"calibration.", "policy.", "adapt.",
                                                             "predictor.", "codec."};

}  // namespace

Metadata to_metadata(const ModelInfo& info) {
  Metadata metadata{{"format", std::string(kFormat)},
                    {"network", info.config.name},
                    {"classes", std::to_string(info.config.classes)},
                    {"early_exits", std::to_string(info.config.early_exits)},
                    {"class_names", fmt::format("{}", fmt::join(info.class_names, "\n"))},
                    {"normalize.mean", fmt::format("{}", fmt::join(info.mean, ","))},
                    {"normalize.std", fmt::format("{}", fmt::join(info.std, ","))},
                    {"val.count", std::to_string(info.val_count)},
                    {"val.seed", std::to_string(info.val_seed)},
                    {"cut", info.cut}};
  if (!info.config.options.empty())
    metadata.emplace(kOptionsKey,
                     fmt::format("{}", fmt::join(to_lines(info.config.options), "\n")));
  add_part(metadata, "part.", info.part);
  // Absent when unknown, as in the files of earlier versions.
  if (!info.temperatures.empty())
    metadata[kTemperaturesKey] = fmt::format("{}", fmt::join(info.temperatures, ","));
  for (const auto& [key, value] : info.records) {
    BRANCHY_DCHECK(is_record_key(key));
    metadata[key] = value;
  }
  if (!info.data_split.empty()) metadata["data.split"] = info.data_split;
  if (!info.data_transforms.empty()) metadata["data.transforms"] = info.data_transforms;
  if (!info.data_test_list.empty())
    metadata["data.test_list"] = fmt::format("{}", fmt::join(info.data_test_list, "\n"));
  return metadata;
}

bool is_model_file(const SafetensorsFile& file) {
  const auto found = file.metadata().find("format");
  return found != file.metadata().end() && found->second.starts_with("branchy");
}

bool is_record_key(std::string_view key) {
  return !is_attachment_key(key) &&
         std::any_of(kRecordPrefixes.begin(), kRecordPrefixes.end(),
                     [&](std::string_view prefix) { return key.starts_with(prefix); });
}

float ModelInfo::temperature(std::int64_t exit) const {
  return temperatures.empty() ? 1.0F : temperatures.at(static_cast<std::size_t>(exit - 1));
}

bool is_extra_tensor(std::string_view name) {
  return is_attachment_tensor(name) || name.starts_with(kOptimizerPrefix) ||
         name.starts_with(kAveragePrefix) || name.starts_with(kOriginPrefix);
}

ModelInfo parse_model_info(const SafetensorsFile& file) {
  constexpr std::int64_t kMaxCount = 1000000;
  const MetadataReader reader(file);
  if (reader.text("format") != kFormat)
    reader.refuse_value("format",
                        fmt::format("'{}'; see `branchy convert` for weights of others", kFormat));
  ModelInfo info;
  info.config = {.name = reader.text("network"),
                 .classes = reader.integer("classes", 2, kMaxCount),
                 .early_exits = reader.integer("early_exits", 0, kMaxCount),
                 .options = reader.options(kOptionsKey)};
  info.part = reader.part("part.");
  info.class_names = split_text(reader.text("class_names"), '\n');
  if (!info.class_names.empty() &&
      static_cast<std::int64_t>(info.class_names.size()) != info.config.classes)
    reader.fail("class_names", fmt::format("has {} names", info.class_names.size()),
                fmt::format("expected {}", info.config.classes));
  info.mean = reader.three_floats("normalize.mean");
  info.std = reader.three_floats("normalize.std");
  for (const float deviation : info.std)
    if (!(deviation > 0.0F))
      reader.fail("normalize.std", "has " + std::to_string(deviation), "expected positive numbers");
  info.val_count = reader.integer("val.count", 0, std::int64_t{1} << 40);
  const std::string& seed = reader.text("val.seed");
  const auto [end, error] = std::from_chars(seed.data(), seed.data() + seed.size(), info.val_seed);
  if (error != std::errc() || end != seed.data() + seed.size())
    reader.refuse_value("val.seed", "an integer of 64 bits");
  info.cut = reader.text("cut");
  info.data_split = reader.optional_text("data.split");
  info.data_transforms = reader.optional_text("data.transforms");
  info.data_test_list = split_text(reader.optional_text("data.test_list"), '\n');
  info.temperatures = reader.floats(kTemperaturesKey);
  if (!info.temperatures.empty() && std::ssize(info.temperatures) != info.config.early_exits + 1)
    reader.fail(kTemperaturesKey, fmt::format("has {} numbers", info.temperatures.size()),
                fmt::format("expected one for each of {} exits", info.config.early_exits + 1));
  for (const float temperature : info.temperatures)
    if (!(temperature > 0.0F)) reader.refuse_value(kTemperaturesKey, "positive numbers");
  for (const auto& [key, value] : file.metadata())
    if (is_record_key(key)) info.records.emplace(key, value);
  return info;
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
  Rng rng(0);
  try {
    const NoInitializationGuard weights_come_from_the_file;
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
