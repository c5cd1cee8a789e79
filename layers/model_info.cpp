#include "layers/model_info.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "layers/attachment_key.h"
#include "layers/metadata_reader.h"
#include "layers/network_options.h"

namespace branchy {

namespace {

constexpr std::string_view kFormat = "branchy-1";
/// Lines KEY=VALUE; left out when there are none, as in files older than the key.
constexpr const char* kOptionsKey = "options";
constexpr const char* kTemperaturesKey = "temperatures";
constexpr std::array<std::string_view, 6> kRecordPrefixes = {"calibration.", "policy.", "adapt.",
                                                             "predictor.",   "codec.",  "int8."};

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

bool is_record_key(std::string_view key) {
  return !is_attachment_key(key) &&
         std::any_of(kRecordPrefixes.begin(), kRecordPrefixes.end(),
                     [&](std::string_view prefix) { return key.starts_with(prefix); });
}

float ModelInfo::temperature(std::int64_t exit) const {
  return temperatures.empty() ? 1.0F : temperatures.at(static_cast<std::size_t>(exit - 1));
}

ModelInfo parse_model_info(const Metadata& metadata, std::string_view place) {
  constexpr std::int64_t kMaxCount = 1000000;
  const MetadataReader reader(metadata, std::string(place));
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
  for (const auto& [key, value] : metadata)
    if (is_record_key(key)) info.records.emplace(key, value);
  return info;
}

}  // namespace branchy
