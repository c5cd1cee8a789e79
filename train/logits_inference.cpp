#include "train/logits_inference.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/printable.h"
#include "data/loader.h"
#include "infer/device_digest.h"
#include "infer/exit_runner.h"
#include "train/coded_exits.h"
#include "train/validation.h"

namespace branchy {

namespace {

/// Rows of batches, one after the other.
struct Rows {
  std::vector<float> values;
  std::int64_t width = 0;

  void append(const Tensor& rows) {
    width = rows.dim(1);
    values.insert(values.end(), rows.data().begin(), rows.data().end());
  }
  [[nodiscard]] Tensor tensor() const {
    return Tensor::from({std::ssize(values) / width, width}, values);
  }
};

/// Every exit of the images that `runner` was started with.
void append_exits(ExitRunner& runner, std::optional<CodedExits>& coded, std::vector<Rows>& logits) {
  for (std::int64_t exit = 1; exit <= std::ssize(logits); ++exit) {
    // Not earlier: asking for a value leaves out the exits before it.
    if (coded && exit == coded->first_exit()) coded->start(runner.value_after(coded->blocks()));
    const bool behind = coded && exit >= coded->first_exit();
    const ExitOutput output = behind ? coded->next_exit() : runner.next_exit();
    logits[static_cast<std::size_t>(exit - 1)].append(output.logits);
  }
}

/// What is known before a sample is run.
LogitsCache describe(const LoadedModel& model, const Dataset& images,
                     const LogitsInferenceOptions& options, const ExitScores* scores) {
  LogitsCache cache;
  cache.costs = exit_costs(*model.network);
  cache.network = model.info.config.name;
  cache.model_digest = model_digest(model);
  cache.temperatures = model.info.temperatures;
  cache.class_names = model.info.class_names;
  cache.data = options.data;
  cache.data_checksum = images.checksum();
  cache.part = options.part;
  if (scores != nullptr) {
    cache.costs.predictor = scores->operations();
    cache.predictor_digest =
        network_digest(*model.attachments.at(std::string(kPredictorAttachment)).network);
  }
  return cache;
}

}  // namespace

std::unique_ptr<ExitScores> attached_scores(const LoadedModel& model) {
  const auto attachment = model.attachments.find(std::string(kPredictorAttachment));
  if (attachment == model.attachments.end()) return nullptr;
  const auto recorded = model.info.records.find("predictor.device_digest");
  if (recorded != model.info.records.end()) {
    const std::string digest = device_digest(model);
    if (recorded->second != digest)
      throw DataError(
          fmt::format("[predictor] was trained for network {:.12}, this one is {:.12}; "
                      "run `branchy predictor train` again",
                      printable(recorded->second), digest));
  }
  return std::make_unique<ExitScores>(attachment->second, model.info);
}

LogitsCache infer_logits(const LoadedModel& model, const std::shared_ptr<const Dataset>& images,
                         const LogitsInferenceOptions& options) {
  const NetworkPart whole = model.network->whole();
  if (!(model.info.part == whole))
    throw ConfigError(
        "[infer-all] the file holds one side of a split; give the run or whole model");
  const auto plan = Plan::lower(*model.network, whole, int8_ranges(model.info));
  const auto scores = attached_scores(model);
  if (scores) scores->require_before_exits(*plan);
  LogitsCache cache = describe(model, *images, options, scores.get());
  ExitRunner runner(plan);
  std::optional<CodedExits> coded;
  if (options.coded && model.attachments.contains(std::string(kCodecAttachment)))
    coded.emplace(model);
  const std::int64_t batch =
      options.batch > 0 ? options.batch : evaluation_batch(images->image_shape());
  Loader loader(images, {.batch = batch, .normalization = {model.info.mean, model.info.std}});
  std::vector<Rows> logits(static_cast<std::size_t>(whole.last_exit));
  Rows score_rows;
  loader.start_epoch(0);
  while (const auto next = loader.next()) {
    runner.start(next->images);
    if (scores) score_rows.append(scores->scores_at_start(runner, next->images));
    append_exits(runner, coded, logits);
    cache.labels.insert(cache.labels.end(), next->labels.begin(), next->labels.end());
    cache.indices.insert(cache.indices.end(), next->indices.begin(), next->indices.end());
    const double share =
        static_cast<double>(cache.num_samples()) / static_cast<double>(images->size());
    if (!options.progress(share)) return {};
  }
  for (const Rows& rows : logits) cache.logits.push_back(rows.tensor());
  if (scores) cache.scores = score_rows.tensor();
  if (coded) {
    cache.codec_digest = codec_digest(model);
    cache.coded_bytes = coded->mean_bytes();
  }
  return cache;
}

}  // namespace branchy
