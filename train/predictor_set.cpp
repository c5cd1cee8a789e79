#include "train/predictor_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "data/loader.h"
#include "infer/exit_runner.h"
#include "infer/exit_scores.h"
#include "train/predictor_evaluation.h"
#include "train/predictor_scores.h"
#include "train/validation.h"

namespace branchy {

namespace {

using GoOn = std::function<bool(double share)>;

/// The logits of all exits, as far as the simulation reads them.
std::optional<LogitsCache> compute_logits(const LoadedModel& model,
                                          const std::shared_ptr<const Dataset>& images,
                                          const GoOn& go_on) {
  const MultiExitNetwork& network = *model.network;
  ExitRunner runner(Plan::lower(network, network.whole()));
  Loader loader(images, {.batch = evaluation_batch(images->image_shape()),
                         .normalization = {model.info.mean, model.info.std}});
  LogitsCache cache;
  cache.costs = exit_costs(network);
  for (std::int64_t exit = 1; exit <= network.num_exits(); ++exit)
    cache.logits.emplace_back(Shape{images->size(), network.config().classes});
  loader.start_epoch(0);
  while (const auto batch = loader.next()) {
    runner.start(batch->images);
    while (runner.has_next()) {
      const ExitOutput output = runner.next_exit();
      const auto row = static_cast<std::ptrdiff_t>(batch->indices.front() * output.logits.dim(1));
      Tensor& all = cache.logits[static_cast<std::size_t>(output.exit - 1)];
      std::ranges::copy(output.logits.data(), all.mutable_data().begin() + row);
    }
    cache.labels.insert(cache.labels.end(), batch->labels.begin(), batch->labels.end());
    cache.indices.insert(cache.indices.end(), batch->indices.begin(), batch->indices.end());
    if (!go_on(static_cast<double>(cache.labels.size()) / static_cast<double>(images->size())))
      return std::nullopt;
  }
  return cache;
}

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
  auto logits = compute_logits(model, set.images, go_on);
  if (!logits) return std::nullopt;
  set.logits = std::move(*logits);
  return set;
}

bool add_scores(PredictorSet& set, const LoadedModel& model, const GoOn& go_on) {
  ExitScores predictor(model.attachments.at(std::string(kPredictorAttachment)), model.info);
  auto scores = predictor_scores(model, predictor, set.images, go_on);
  if (!scores) return false;
  set.logits.scores = std::move(*scores);
  set.logits.costs.predictor = predictor.operations();
  return true;
}

}  // namespace branchy
