#include "train/confidence_cache.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "core/error.h"
#include "data/loader.h"
#include "infer/batch_prediction.h"
#include "infer/exit_runner.h"
#include "infer/policies/prediction.h"
#include "layers/metadata_reader.h"
#include "train/validation.h"

namespace branchy {

namespace {

constexpr std::string_view kFormat = "branchy-confidences-1";

Metadata describe(const ConfidenceOrigin& origin) {
  return {{"format", std::string(kFormat)},
          {"model", origin.model_digest},
          {"temperatures", fmt::format("{}", fmt::join(origin.temperatures, ","))},
          {"data.checksum", origin.data_checksum},
          {"data.part", origin.part},
          {"images", std::to_string(origin.images)},
          {"views", std::to_string(origin.views.views)},
          {"augmentation", std::string(augmentation_name(origin.views.augmentation))},
          {"seed", std::to_string(origin.views.seed)}};
}

/// Writes the confidences of one exit and batch into their rows.
void put(const ExitOutput& output, float temperature, std::span<const std::int64_t> rows,
         Tensor& confidences) {
  const auto predictions = predict_all(output.exit, output.logits, temperature);
  const auto exits = static_cast<std::size_t>(confidences.dim(1));
  const auto values = confidences.mutable_data();
  for (std::size_t i = 0; i < rows.size(); ++i)
    values[static_cast<std::size_t>(rows[i]) * exits + static_cast<std::size_t>(output.exit - 1)] =
        predictions[i].confidence;
}

}  // namespace

std::optional<Tensor> compute_confidences(const LoadedModel& model,
                                          const std::shared_ptr<const Dataset>& views,
                                          const std::function<bool(double share)>& go_on) {
  const MultiExitNetwork& network = *model.network;
  const std::int64_t exits = network.num_exits() - 1;
  ExitRunner runner(Plan::lower(
      network, {.end_block = network.exit(exits).after_block, .first_exit = 1, .last_exit = exits},
      int8_ranges(model.info)));
  Loader loader(views, {.batch = evaluation_batch(views->image_shape()),
                        .normalization = {model.info.mean, model.info.std}});
  Tensor confidences(Shape{views->size(), exits});
  std::int64_t done = 0;
  loader.start_epoch(0);
  while (const auto batch = loader.next()) {
    runner.start(batch->images);
    while (runner.has_next()) {
      const ExitOutput output = runner.next_exit();
      put(output, model.info.temperature(output.exit), batch->indices, confidences);
    }
    done += std::ssize(batch->indices);
    if (!go_on(static_cast<double>(done) / static_cast<double>(views->size()))) return std::nullopt;
  }
  return confidences;
}

void save_confidences(const std::filesystem::path& path, const ConfidenceCache& cache) {
  write_safetensors(path, {{"confidences", cache.confidences}}, describe(cache.origin));
}

ConfidenceCache load_confidences(const std::filesystem::path& path,
                                 const ConfidenceOrigin& expected) {
  const SafetensorsFile file(path);
  const MetadataReader reader(file);
  if (reader.optional_text("format") != kFormat)
    throw DataError(fmt::format(
        "[{}] is no cache of confidences; give another --cache, it is made where there is none",
        path.string()));
  for (const auto& [key, value] : describe(expected))
    if (reader.text(key) != value)
      throw DataError(fmt::format(
          "[{}] was made with {} '{:.40}', now it is '{:.40}'; give another --cache, or remove it",
          path.string(), key, reader.text(key), value));
  ConfidenceCache cache{.origin = expected, .confidences = file.tensor("confidences")};
  const Shape shape{expected.views.views * expected.images, std::ssize(expected.temperatures)};
  if (cache.confidences.shape() != shape)
    throw DataError(fmt::format("[{}] tensor confidences has shape {}, expected {}", path.string(),
                                cache.confidences.shape().to_string(), shape.to_string()));
  for (const float value : cache.confidences.data())
    if (!(value >= 0.0F && value <= 1.0F))
      throw DataError(
          fmt::format("[{}] tensor confidences holds {}, expected 0 to 1", path.string(), value));
  return cache;
}

}  // namespace branchy
