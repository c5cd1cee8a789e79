#include "train/predictor_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "data/split.h"
#include "train/confidence_cache.h"
#include "train/logits_cache.h"
#include "train/predictor_record.h"

namespace branchy {

namespace {

constexpr std::string_view kOfSeed = " of seed ";

template <typename Integer>
bool read_integer(std::string_view text, Integer& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

ConfidenceOrigin origin_of(const LoadedModel& model, const Dataset& images,
                           const PredictorDataRequest& request) {
  return {.model_digest = model_digest(model),
          .temperatures = early_temperatures(model),
          .data_checksum = images.checksum(),
          .part = fmt::format("{}, {} of seed {} held out {}", label_source_name(request.labels),
                              model.info.val_count, model.info.val_seed, model.info.data_split),
          .images = images.size(),
          .views = request.views};
}

std::optional<Tensor> confidences_of(const LoadedModel& model, const ConfidenceOrigin& origin,
                                     const std::shared_ptr<const Dataset>& views,
                                     const std::filesystem::path& cache,
                                     const std::function<bool(double share)>& go_on) {
  if (!cache.empty() && std::filesystem::exists(cache))
    return load_confidences(cache, origin).confidences;
  auto confidences = compute_confidences(model, views, go_on);
  if (confidences && !cache.empty())
    save_confidences(cache, {.origin = origin, .confidences = *confidences});
  return confidences;
}

/// Positions that train, and the others' description.
std::vector<std::int64_t> training_positions(const PredictorDataRequest& request,
                                             std::int64_t images, SelectionImages& selection) {
  if (request.labels == LabelSource::kTrain) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(images));
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  selection = {.count = std::llround(request.select_share * static_cast<double>(images)),
               .seed = request.views.seed};
  if (selection.count < 1 || selection.count >= images)
    throw ConfigError(
        fmt::format("[predictor] --select-share {} of {} validation images leaves {} to choose "
                    "gamma and {} to train, expected 1 or more of each",
                    request.select_share, images, selection.count, images - selection.count));
  return split_validation(images, selection.count, selection.seed).train;
}

}  // namespace

LabelSource parse_label_source(std::string_view name) {
  for (const LabelSource source : {LabelSource::kTrain, LabelSource::kHeldOut})
    if (name == label_source_name(source)) return source;
  throw ConfigError(fmt::format("[predictor] labels '{}', expected train or held-out", name));
}

std::string_view label_source_name(LabelSource source) {
  return source == LabelSource::kTrain ? "train" : "held-out";
}

std::string SelectionImages::text() const {
  return count == 0 ? "all" : fmt::format("{}{}{}", count, kOfSeed, seed);
}

SelectionImages SelectionImages::parse(const std::string& text) {
  if (text == "all") return {};
  SelectionImages images;
  const std::string_view view = text;
  const std::size_t at = view.find(kOfSeed);
  if (at == std::string_view::npos || !read_integer(view.substr(0, at), images.count) ||
      !read_integer(view.substr(at + kOfSeed.size()), images.seed) || images.count < 1)
    throw DataError(fmt::format(
        "[predictor] selection images '{:.40}', expected all or COUNT of seed SEED", text));
  return images;
}

std::vector<std::int64_t> SelectionImages::positions(std::int64_t validation_images) const {
  if (count > 0) return split_validation(validation_images, count, seed).validation;
  std::vector<std::int64_t> all(static_cast<std::size_t>(validation_images));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::int64_t num_views(std::int64_t images, Augmentation augmentation) {
  constexpr double kViews = 80'000.0;
  constexpr std::int64_t kMost = 16;
  if (augmentation == Augmentation::kNone) return 1;
  return std::clamp<std::int64_t>(std::llround(kViews / static_cast<double>(images)), 1, kMost);
}

std::optional<PredictorData> open_predictor_data(const LoadedModel& model,
                                                 PredictorDataRequest request,
                                                 const std::function<bool(double share)>& go_on) {
  if (model.network->num_exits() < 2)
    throw ConfigError("[predictor] the network has no early exit to predict");
  ImageRequest wanted = request.images;
  wanted.part = request.labels == LabelSource::kTrain ? "train" : "val";
  const ModelImages opened = open_images(model.info, model.network->input_shape(), wanted);
  const std::int64_t images = opened.images->size();
  if (request.views.views == 0) request.views.views = num_views(images, request.views.augmentation);
  PredictorData data;
  const auto positions = training_positions(request, images, data.selection);
  data.views = std::make_shared<AugmentedViews>(opened.images, request.views);
  data.rows.reserve(static_cast<std::size_t>(request.views.views) * positions.size());
  for (std::int64_t view = 0; view < request.views.views; ++view)
    for (const std::int64_t position : positions) data.rows.push_back(view * images + position);
  auto confidences = confidences_of(model, origin_of(model, *opened.images, request), data.views,
                                    request.cache, go_on);
  if (!confidences) return std::nullopt;
  data.confidences = std::move(*confidences);
  data.description = fmt::format(
      "{} images that {}, {} views each by {}", positions.size(),
      request.labels == LabelSource::kTrain ? "trained the network" : "training held out",
      request.views.views, augmentation_name(request.views.augmentation));
  return data;
}

}  // namespace branchy
