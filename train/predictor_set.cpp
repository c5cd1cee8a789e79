#include "train/predictor_set.h"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "core/error.h"
#include "train/logits_inference.h"
#include "train/predictor_evaluation.h"
#include "train/predictor_scores.h"

namespace branchy {

namespace {

using GoOn = std::function<bool(double share)>;

LogitsCache stored_logits(const LoadedModel& model, const Dataset& images,
                          const std::filesystem::path& file) {
  LogitsCache cache = load_logits(file);
  require_same_model(cache, file, model);
  std::vector<std::int64_t> all(static_cast<std::size_t>(images.size()));
  std::iota(all.begin(), all.end(), 0);
  if (cache.data_checksum != images.checksum() || cache.indices != all)
    throw DataError(fmt::format(
        "[{}] holds {} of {} ({} samples), not these {} images; run `branchy infer-all` "
        "on them",
        file.string(), cache.part, cache.data, cache.num_samples(), images.size()));
  return cache;
}

}  // namespace

StoredExits PredictorSet::stored(const LoadedModel& model,
                                 const std::optional<std::vector<std::int64_t>>& positions) const {
  return StoredExits(positions ? take_samples(logits, *positions) : logits,
                     model.info.temperatures);
}

std::optional<PredictorSet> open_predictor_set(const LoadedModel& model,
                                               const ImageRequest& request,
                                               const std::filesystem::path& file,
                                               const GoOn& go_on) {
  PredictorSet set;
  set.images = open_images(model.info, model.network->input_shape(), request).images;
  if (!file.empty()) {
    set.logits = stored_logits(model, *set.images, file);
    return set;
  }
  set.logits = infer_logits(model, set.images,
                            {.data = request.data, .part = request.part, .progress = go_on});
  if (set.logits.num_samples() == 0) return std::nullopt;
  return set;
}

bool add_scores(PredictorSet& set, const LoadedModel& model, const GoOn& go_on) {
  const auto predictor = attached_scores(model);
  BRANCHY_DCHECK(predictor != nullptr);
  auto scores = predictor_scores(model, *predictor, set.images, go_on);
  if (!scores) return false;
  set.logits.scores = std::move(*scores);
  set.logits.costs.predictor = predictor->operations();
  return true;
}

}  // namespace branchy
