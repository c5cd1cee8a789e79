#include "train/predictor_record.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <utility>

#include "core/error.h"
#include "infer/device_digest.h"
#include "infer/threshold_list.h"
#include "layers/metadata_reader.h"
#include "train/logits_cache.h"

namespace branchy {

namespace {

constexpr std::string_view kPrefix = "predictor.";

std::string list(const std::vector<float>& values) {
  return fmt::format("{}", fmt::join(values, ","));
}

/// Reads the records of one file; every error names it.
class RecordReader {
 public:
  RecordReader(const ModelInfo& info, const std::string& path) : info_(info), path_(path) {}

  [[nodiscard]] std::string text(const std::string& key, bool required = true) const {
    const auto found = info_.records.find(std::string(kPrefix) + key);
    if (found != info_.records.end()) return found->second;
    if (required) fail(key, "is missing");
    return "";
  }

  /// One probability for each early exit; none of an optional record that is missing.
  [[nodiscard]] std::vector<float> probabilities(const std::string& key, std::int64_t count,
                                                 bool required = true) const {
    const std::string given = text(key, required);
    if (given.empty() && !required) return {};
    try {
      std::vector<float> values = parse_thresholds(given);
      if (std::ssize(values) == count) return values;
    } catch (const ConfigError&) {  // reported below with the record's name
    }
    fail(key, fmt::format("is '{:.40}', expected {} numbers within 0..1", given, count));
  }

  [[noreturn]] void fail(const std::string& key, const std::string& what) const {
    throw DataError(
        fmt::format("[{}] record {}{} {}; train the predictor again", path_, kPrefix, key, what));
  }

 private:
  const ModelInfo& info_;
  const std::string& path_;
};

std::int64_t blocks(const RecordReader& reader, const MultiExitNetwork& network) {
  const std::string text = reader.text("reads_after", /*required=*/false);
  if (text.empty()) return 0;
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 ||
      value > network.exit(1).after_block)
    reader.fail("reads_after",
                fmt::format("is '{:.20}', expected 0 to {}", text, network.exit(1).after_block));
  return value;
}

}  // namespace

std::vector<float> early_temperatures(const LoadedModel& model) {
  std::vector<float> temperatures;
  temperatures.reserve(static_cast<std::size_t>(model.network->num_exits()));
  for (std::int64_t exit = 1; exit < model.network->num_exits(); ++exit)
    temperatures.push_back(model.info.temperature(exit));
  return temperatures;
}

void put_record(ModelInfo& info, const PredictorRecord& record) {
  std::erase_if(info.records, [](const auto& entry) { return entry.first.starts_with(kPrefix); });
  const auto put = [&](const char* key, const std::string& value) {
    if (!value.empty()) info.records[std::string(kPrefix) + key] = value;
  };
  put("kind", record.kind);
  put("labels", std::string(label_source_name(record.labels)));
  put("thresholds", list(record.thresholds));
  put("temperatures", list(record.temperatures));
  put("reads_after", std::to_string(record.reads_after));
  put("selection", record.selection.text());
  put("training", record.training);
  put("device_digest", record.device_digest);
  put("gamma", list(record.gamma));
  put("selected_on", record.selected_on);
}

void attach_predictor(LoadedModel& model, std::shared_ptr<MultiExitNetwork> predictor,
                      const PredictorRecord& record) {
  model.attachments.insert_or_assign(std::string(kPredictorAttachment),
                                     whole_attachment(std::move(predictor)));
  put_record(model.info, record);
}

PredictorRecord read_predictor_record(const LoadedModel& model, const std::string& path) {
  const std::int64_t early = model.network->num_exits() - 1;
  if (!model.attachments.contains(std::string(kPredictorAttachment)))
    throw ConfigError(
        fmt::format("[{}] holds no exit predictor; make one with `branchy predictor train`", path));
  const RecordReader reader(model.info, path);
  PredictorRecord record{.kind = reader.text("kind"),
                         .labels = parse_label_source(reader.text("labels")),
                         .thresholds = reader.probabilities("thresholds", early),
                         .temperatures = {},
                         .reads_after = blocks(reader, *model.network),
                         .selection = SelectionImages::parse(reader.text("selection")),
                         .training = reader.text("training", false),
                         .device_digest = reader.text("device_digest"),
                         .gamma = reader.probabilities("gamma", early, false),
                         .selected_on = reader.text("selected_on", false)};
  const std::string digest = device_digest(model);
  if (record.device_digest != digest)
    reader.fail("device_digest",
                fmt::format("is {:.12}, but the network is {:.12}: the predictor is of another "
                            "network",
                            record.device_digest, digest));
  record.temperatures = early_temperatures(model);
  const std::string trained_with = reader.text("temperatures");
  if (trained_with != list(record.temperatures))
    reader.fail("temperatures",
                fmt::format("is '{:.40}', the model has '{:.40}': it was calibrated "
                            "since, which moves the confidences",
                            trained_with, list(record.temperatures)));
  return record;
}

}  // namespace branchy
