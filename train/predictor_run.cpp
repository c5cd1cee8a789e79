#include "train/predictor_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "infer/device_digest.h"
#include "layers/models/exit_predictor.h"
#include "layers/models/registry.h"
#include "train/logits_cache.h"

namespace branchy {

namespace {

std::int64_t reads_after(const PredictorRunOptions& options, const MultiExitNetwork& network) {
  if (!options.reads_after.empty()) return network.blocks_through(options.reads_after);
  return options.kind == kFeaturePredictor ? network.exit(1).after_block : 0;
}

std::vector<double> shares_of_ones(const Tensor& targets) {
  std::vector<double> shares(static_cast<std::size_t>(targets.dim(1)));
  const auto values = targets.data();
  for (std::size_t i = 0; i < values.size(); ++i)
    shares[i % shares.size()] +=
        static_cast<double>(values[i]) / static_cast<double>(targets.dim(0));
  return shares;
}

}  // namespace

void require_predictor_fits(const MultiExitNetwork& network, const PredictorRunOptions& options) {
  const std::int64_t depth = network.num_exits() > 1 ? reads_after(options, network) : 0;
  static_cast<void>(predictor_config(network, options.kind, depth));
}

PredictorRun::PredictorRun(const LoadedModel& model, const PredictorData& data,
                           PredictorRunOptions options)
    : model_(model), data_(data), options_(std::move(options)) {
  const MultiExitNetwork& network = *model.network;
  require_predictor_fits(network, options_);
  reads_after_ = reads_after(options_, network);
  config_ = predictor_config(network, options_.kind, reads_after_);
  RecipeOptions& recipe = options_.recipe;
  if (recipe.epochs == 0)
    recipe.epochs = std::max<std::int64_t>(1, kViewsToSee / std::ssize(data.rows));
  validate(recipe);
  samples_ = std::make_unique<PredictorSamples>(
      network, config_, reads_after_, data.views, data.rows,
      PredictorSampleOptions{.batch = recipe.batch,
                             .seed = options_.seed,
                             .normalization = {model.info.mean, model.info.std},
                             .memory_limit = options_.memory_limit});
  digest_ = device_digest(model);
}

std::string PredictorRun::description() const {
  const RecipeOptions& recipe = options_.recipe;
  return fmt::format("{}, {} epochs, batch {}, rate {} to {}, weight decay {}, seed {}",
                     data_.description, recipe.epochs, recipe.batch, recipe.rate, recipe.end_rate,
                     recipe.weight_decay, options_.seed);
}

std::optional<TrainedPredictor> PredictorRun::train(const std::vector<float>& thresholds,
                                                    const PredictorRunProgress& go_on) {
  const bool prepared = samples_->prepare(
      [&](double share) { return go_on(share, "what the predictor reads, computed once"); });
  if (!prepared) return std::nullopt;
  Rng rng({options_.seed, 0x70726564});  // "pred"
  TrainedPredictor trained{
      .network = make_network(config_, rng), .record = {}, .losses = {}, .shares_of_ones = {}};
  const Tensor targets = predictor_targets(data_.confidences, thresholds);
  auto losses = train_predictor(
      *trained.network, *samples_, targets, options_.recipe, [&](const PredictorStep& step) {
        return go_on(step.share,
                     fmt::format("epoch {}/{} loss {:.4f}", step.epoch, step.epochs, step.loss));
      });
  if (!losses) return std::nullopt;
  trained.losses = std::move(*losses);
  trained.shares_of_ones = shares_of_ones(targets);
  PredictorRecord& record = trained.record;
  record.kind = options_.kind;
  record.labels = options_.labels;
  record.thresholds = thresholds;
  record.temperatures = early_temperatures(model_);
  record.reads_after = reads_after_;
  record.selection = data_.selection;
  record.training = description();
  record.device_digest = digest_;
  return trained;
}

}  // namespace branchy
