#include "train/logits_cache.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "core/error.h"
#include "core/provenance.h"
#include "data/digest.h"
#include "infer/int8_ranges.h"
#include "layers/metadata_reader.h"
#include "layers/network_options.h"

namespace branchy {

namespace {

constexpr std::string_view kFormat = "branchy-logits-1";
constexpr std::int64_t kLargest = std::int64_t{1} << 24;  // integers that float32 holds exactly

void update(Digest& digest, const std::string& text) {
  digest.update({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

Tensor to_tensor(const std::vector<std::int64_t>& values) {
  Tensor tensor(Shape{static_cast<std::int64_t>(values.size())});
  const auto data = tensor.mutable_data();
  for (std::size_t i = 0; i < values.size(); ++i) data[i] = static_cast<float>(values[i]);
  return tensor;
}

std::vector<std::int64_t> to_integers(const SafetensorsFile& file, const std::string& name,
                                      std::int64_t end) {
  const Tensor tensor = file.tensor(name);
  std::vector<std::int64_t> values;
  values.reserve(static_cast<std::size_t>(tensor.size()));
  for (const float value : tensor.data()) {
    if (!(value >= 0.0F && value < static_cast<float>(end) && std::floor(value) == value))
      throw DataError(fmt::format("[{}] tensor {} holds {}, expected integers from 0 to {}",
                                  file.path().string(), name, value, end - 1));
    values.push_back(static_cast<std::int64_t>(value));
  }
  return values;
}

void require_shape(const SafetensorsFile& file, const std::string& name, const Tensor& tensor,
                   const Shape& expected) {
  if (tensor.shape() != expected)
    throw DataError(fmt::format("[{}] tensor {} has shape {}, expected {}", file.path().string(),
                                name, tensor.shape().to_string(), expected.to_string()));
  for (const float value : tensor.data())
    if (!std::isfinite(value))
      throw DataError(fmt::format("[{}] tensor {} holds {}, expected finite numbers",
                                  file.path().string(), name, value));
}

std::vector<std::int64_t> counts(const MetadataReader& reader, const std::string& key) {
  std::vector<std::int64_t> values;
  for (const std::string& part : split_text(reader.text(key), ',')) {
    const char* const last = part.data() + part.size();
    const auto [end, error] = std::from_chars(part.data(), last, values.emplace_back());
    if (error != std::errc() || end != last || values.back() < 0)
      reader.refuse_value(key, "counts separated by commas");
  }
  return values;
}

}  // namespace

std::string network_digest(MultiExitNetwork& network) {
  Digest digest(DigestKind::kSha256);
  const NetworkConfig& config = network.config();
  update(digest, fmt::format("{}\n{}\n{}\n{}\n", config.name, config.classes, config.early_exits,
                             fmt::join(to_lines(config.options), "\n")));
  for (const StateEntry& entry : network.state()) {
    update(digest, entry.name);
    const auto data = entry.variable->value().data();
    digest.update({reinterpret_cast<const std::uint8_t*>(data.data()), data.size_bytes()});
  }
  return digest.finish();
}

std::string model_digest(const LoadedModel& model) {
  Digest digest(DigestKind::kSha256);
  update(digest, fmt::format("{}\n{}\n{}", network_digest(*model.network),
                             fmt::join(model.info.mean, ","), fmt::join(model.info.std, ",")));
  const auto int8 = model.info.records.find(std::string(kInt8RangesRecord));
  if (int8 != model.info.records.end()) update(digest, int8->second);
  return digest.finish();
}

void save_logits(const std::filesystem::path& path, const LogitsCache& cache) {
  std::map<std::string, Tensor> tensors;
  for (std::size_t i = 0; i < cache.logits.size(); ++i)
    tensors.emplace(fmt::format("logits.{}", i + 1), cache.logits[i]);
  tensors.emplace("labels", to_tensor(cache.labels));
  tensors.emplace("indices", to_tensor(cache.indices));
  if (cache.scores.defined()) tensors.emplace("scores", cache.scores);
  Metadata metadata{{"format", std::string(kFormat)},
                    {"network", cache.network},
                    {"model", cache.model_digest},
                    {"predictor", cache.predictor_digest},
                    {"codec", cache.codec_digest},
                    {"codec.bytes", fmt::format("{}", cache.coded_bytes)},
                    {"exits", std::to_string(cache.num_exits())},
                    {"class_names", fmt::format("{}", fmt::join(cache.class_names, "\n"))},
                    {"data", cache.data},
                    {"data.checksum", cache.data_checksum},
                    {"data.part", cache.part},
                    {"costs.trunk", fmt::format("{}", fmt::join(cache.costs.trunk, ","))},
                    {"costs.exit", fmt::format("{}", fmt::join(cache.costs.exit, ","))},
                    {"costs.predictor", std::to_string(cache.costs.predictor)},
                    {"costs.feature_bytes", std::to_string(cache.costs.feature_bytes)}};
  for (const auto& [key, value] : provenance()) metadata["provenance." + key] = value;
  if (!cache.temperatures.empty())
    metadata["temperatures"] = fmt::format("{}", fmt::join(cache.temperatures, ","));
  write_safetensors(path, tensors, metadata);
}

LogitsCache load_logits(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const MetadataReader reader(file);
  if (reader.optional_text("format") != kFormat)
    throw DataError(
        fmt::format("[{}] is no logits cache; make one with `branchy infer-all`", path.string()));
  LogitsCache cache;
  cache.network = reader.text("network");
  cache.model_digest = reader.text("model");
  cache.predictor_digest = reader.text("predictor");
  cache.codec_digest = reader.optional_text("codec");
  if (const auto bytes = reader.floats("codec.bytes"); !bytes.empty())
    cache.coded_bytes = double{bytes.front()};
  cache.class_names = split_text(reader.text("class_names"), '\n');
  cache.data = reader.text("data");
  cache.data_checksum = reader.text("data.checksum");
  cache.part = reader.text("data.part");
  cache.temperatures = reader.floats("temperatures");
  cache.costs = {.trunk = counts(reader, "costs.trunk"),
                 .exit = counts(reader, "costs.exit"),
                 .predictor = reader.integer("costs.predictor", 0, INT64_MAX),
                 .feature_bytes = reader.integer("costs.feature_bytes", 0, INT64_MAX)};
  const std::int64_t exits = reader.integer("exits", 1, 1000);
  const auto num_exits = static_cast<std::size_t>(exits);
  if (cache.costs.trunk.size() != num_exits || cache.costs.exit.size() != num_exits)
    reader.refuse_value("costs.trunk", fmt::format("one count for each of {} exits", exits));
  if (!cache.temperatures.empty() && cache.temperatures.size() != num_exits)
    reader.refuse_value("temperatures", fmt::format("one for each of {} exits", exits));
  for (const float temperature : cache.temperatures)
    if (!(temperature > 0.0F)) reader.refuse_value("temperatures", "positive numbers");
  for (std::int64_t exit = 1; exit <= exits; ++exit) {
    const std::string name = fmt::format("logits.{}", exit);
    cache.logits.push_back(file.tensor(name));
    const Tensor& first = cache.logits.front();
    if (first.shape().rank() != 2 || first.dim(0) < 1 || first.dim(1) < 2)
      throw DataError(fmt::format("[{}] tensor {} has shape {}, expected [N, classes]",
                                  path.string(), name, first.shape().to_string()));
    require_shape(file, name, cache.logits.back(), first.shape());
  }
  const std::int64_t samples = cache.logits.front().dim(0);
  if (!cache.class_names.empty() && std::ssize(cache.class_names) != cache.num_classes())
    reader.refuse_value("class_names", fmt::format("{} names", cache.num_classes()));
  cache.labels = to_integers(file, "labels", cache.num_classes());
  cache.indices = to_integers(file, "indices", kLargest);
  if (std::ssize(cache.labels) != samples || std::ssize(cache.indices) != samples)
    throw DataError(fmt::format("[{}] has {} labels and {} indices for {} rows of logits",
                                path.string(), cache.labels.size(), cache.indices.size(), samples));
  if (file.contains("scores")) {
    cache.scores = file.tensor("scores");
    require_shape(file, "scores", cache.scores, Shape{samples, exits - 1});
    for (const float score : cache.scores.data())
      if (!(score >= 0.0F && score <= 1.0F))
        throw DataError(fmt::format("[{}] tensor scores holds {}, expected numbers from 0 to 1",
                                    path.string(), score));
  }
  return cache;
}

void require_same_model(const LogitsCache& cache, const std::filesystem::path& cache_path,
                        const LoadedModel& model) {
  const std::string digest = model_digest(model);
  if (cache.model_digest != digest)
    throw DataError(
        fmt::format("[{}] holds the logits of model {:.12}, this model is {:.12}; run `branchy "
                    "infer-all` again",
                    cache_path.string(), cache.model_digest, digest));
}

}  // namespace branchy
