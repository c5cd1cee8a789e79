#include "train/codec_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "infer/device_digest.h"
#include "infer/feature_coder.h"
#include "infer/plan.h"
#include "infer/range_coder.h"
#include "layers/models/registry.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "optim/adam.h"
#include "optim/schedule.h"
#include "train/interrupt.h"
#include "train/server_part.h"
#include "train/validation.h"

namespace branchy {

namespace {

/// Mean squared error of `output` against `target`, and its gradient back through the graph.
double backward_squared_error(const Variable& output, const Tensor& target) {
  Tensor diff(output.shape());
  const auto out = output.value().data();
  const auto wanted = target.data();
  const auto to = diff.mutable_data();
  const auto count = static_cast<double>(out.size());
  double sum = 0.0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const float error = out[i] - wanted[i];
    sum += static_cast<double>(error) * static_cast<double>(error);
    to[i] = static_cast<float>(2.0 * static_cast<double>(error) / count);
  }
  if (std::isfinite(sum)) output.backward(diff);
  return sum / count;
}

void add_parameters(const std::vector<StateEntry>& state, const std::string& prefix,
                    double rate_factor, std::vector<OptimizedParameter>& parameters) {
  for (const StateEntry& entry : state)
    if (!entry.is_buffer)
      parameters.push_back({.name = prefix + entry.name,
                            .variable = entry.variable,
                            .decays = entry.decays,
                            .rate_factor = rate_factor});
}

}  // namespace

CodecTrainer::CodecTrainer(LoadedModel& model, std::shared_ptr<const Dataset> images,
                           CodecOptions options)
    : model_(model),
      network_(*model.network),
      options_(std::move(options)),
      progress_("codec train") {
  const Shape feature = network_.feature_shape(options_.blocks);
  if (options_.stride == 0) options_.stride = feature.dim(2) % 2 == 0 ? 2 : 1;
  if (options_.kernel == 0) options_.kernel = options_.stride;
  record_.cut = network_.blocks()[static_cast<std::size_t>(options_.blocks - 1)].name;
  record_.bits = options_.bits;
  record_.lossless = options_.lossless;
  if (options_.go_on)
    take_codec();
  else
    make_codec();  // refuses sizes before anything is computed
  train_behind_cut(network_, options_.blocks);
  const auto trunk =
      std::make_shared<FrozenTrunk>(network_, std::vector<std::int64_t>{options_.blocks});
  LoaderOptions loading{.batch = std::min(options_.batch, images->size()),
                        .seed = options_.seed,
                        .shuffle = true,
                        .augmentation = options_.augmentation,
                        .drop_last = true,
                        .normalization = {model.info.mean, model.info.std}};
  loader_ = std::make_unique<FeatureLoader>(images, loading, trunk, options_.cache);
  if (options_.augmentation == Augmentation::kNone) return;
  loading.augmentation = Augmentation::kNone;
  loading.shuffle = false;
  loading.drop_last = false;
  FeatureCache none = options_.cache;
  none.enabled = false;
  plain_ = std::make_unique<FeatureLoader>(std::move(images), loading, trunk, none);
}

void CodecTrainer::make_codec() {
  const Shape feature = network_.feature_shape(options_.blocks);
  if (feature.dim(2) != feature.dim(3))
    throw ConfigError(fmt::format("[codec] the feature {} is not square", feature.to_string()));
  NetworkConfig config{.name = "feature_codec",
                       .classes = network_.config().classes,
                       .early_exits = 0,
                       .options = {{"channels", std::to_string(feature.dim(1))},
                                   {"size", std::to_string(feature.dim(2))},
                                   {"code", std::to_string(options_.code)},
                                   {"stride", std::to_string(options_.stride)},
                                   {"kernel", std::to_string(options_.kernel)}}};
  if (record_.feature_min < 0.0F) config.options["output"] = "linear";
  Rng rng({options_.seed, 0x636F646563});  // "codec"
  codec_ = make_network(config, rng);
}

void CodecTrainer::take_codec() {
  const auto attached = model_.attachments.find(std::string(kCodecAttachment));
  if (attached == model_.attachments.end())
    throw ConfigError("[codec] the model has no codec to go on with; leave out --continue");
  require_codec_cut(model_.info, model_.attachments, record_.cut);
  require_codec_weights(model_);
  codec_ = attached->second.network;
  options_.code = codec_->feature_shape(1).dim(1);
}

bool CodecTrainer::run() {
  const Interrupt interrupt;
  if (!loader_->prepare([&](double share) {
        progress_.update(share, "features at the cut");
        return !Interrupt::requested();
      }))
    return false;
  if (!measure()) return false;
  if (!options_.go_on) make_codec();
  Layer& encoder = *codec_->blocks().front().layer;
  Layer& decoder = *codec_->exit(1).layer;
  if (!train_phase("reconstruction", options_.reconstruction_epochs, false,
                   [&](const FeatureBatch& batch, const Pass& pass) {
                     const Variable& feature = batch.features.front();
                     return backward_squared_error(
                         decoder.forward(encoder.forward(feature, pass), pass), feature.value());
                   }))
    return false;
  if (!train_phase("codec and server", options_.epochs, true,
                   [&](const FeatureBatch& batch, const Pass& pass) {
                     const Variable code = encoder.forward(batch.features.front(), pass);
                     return backward_server(decoder.forward(code, pass), batch, pass);
                   }))
    return false;
  if (!find_scale()) return false;
  const FeatureQuantizer quantizer(record_.bits, record_.scale);
  ExitRunner encoder_plan(Plan::lower(*codec_, encoder_part()));
  for (const StateEntry& entry : codec_->state(encoder_part()))
    if (!entry.is_buffer) entry.variable->set_requires_grad(false);
  if (!train_phase("quantised", options_.quantized_epochs, true,
                   [&](const FeatureBatch& batch, const Pass& pass) {
                     encoder_plan.start(batch.features.front().value());
                     Tensor code = encoder_plan.feature();
                     quantizer.dequantize(quantizer.quantize(code.data()), code.mutable_data());
                     return backward_server(decoder.forward(Variable(code), pass), batch, pass);
                   }))
    return false;
  if (!find_frequencies()) return false;
  finish_model();
  return true;
}

bool CodecTrainer::measure() {
  FeatureLoader& loader = plain_ ? *plain_ : *loader_;
  float least = INFINITY;
  float greatest = -INFINITY;
  loader.start_epoch(0);
  while (const auto batch = loader.next()) {
    const auto values = batch->features.front().value().data();
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    least = std::min(least, *low);
    greatest = std::max(greatest, *high);
    if (Interrupt::requested()) return false;
  }
  record_.feature_min = least;
  record_.feature_max = greatest;
  return true;
}

double CodecTrainer::backward_server(const Variable& feature, const FeatureBatch& batch,
                                     const Pass& pass) {
  const auto logits = forward_behind_cut(network_, options_.blocks, feature, pass);
  std::vector<Variable> losses;
  losses.reserve(logits.size());
  for (const Variable& exit : logits) losses.push_back(softmax_cross_entropy(exit, batch.labels));
  const Variable loss = weighted_sum(losses, std::vector<float>(losses.size(), 1.0F));
  hits_ += static_cast<double>(count_correct(logits.back().value(), batch.labels));
  const auto value = static_cast<double>(loss.value().item());
  if (std::isfinite(value)) loss.backward();
  return value;
}

bool CodecTrainer::train_phase(const std::string& name, double epochs, bool with_server,
                               const StepFn& step) {
  const std::int64_t per_epoch = loader_->batches_per_epoch();
  auto total = static_cast<std::int64_t>(std::ceil(epochs * static_cast<double>(per_epoch)));
  if (options_.max_steps > 0) total = std::min(total, options_.max_steps);
  if (total == 0) return true;
  std::vector<OptimizedParameter> parameters;
  add_parameters(codec_->state(), "codec.", 1.0, parameters);
  if (with_server)
    add_parameters(network_.state(part_behind_cut(network_, options_.blocks)), "",
                   options_.server_factor, parameters);
  Adam adam(std::move(parameters), {});
  const ScheduleParams schedule{.kind = ScheduleKind::kCosine,
                                .rate = options_.rate,
                                .decay_steps = total,
                                .warmup_steps = std::min<std::int64_t>(10, total / 10),
                                .drops = {}};
  hits_ = 0.0;
  double sum = 0.0;
  for (std::int64_t done = 0; done < total; ++epoch_) {
    loader_->start_epoch(epoch_);
    for (auto batch = loader_->next(); batch && done < total; batch = loader_->next()) {
      adam.clear_gradients();
      const Pass pass{.mode = Mode::kTrain,
                      .seed = Rng({options_.seed, static_cast<std::uint64_t>(epoch_),
                                   static_cast<std::uint64_t>(done)})
                                  .next_u64()};
      const double loss = step(*batch, pass);
      if (!std::isfinite(loss))
        throw NumericError(fmt::format(
            "[codec train] the loss of step {} ({}) is {}; nothing is written, lower --lr",
            done + 1, name, loss));
      adam.step(static_cast<float>(learning_rate(schedule, done)));
      sum += loss;
      ++done;
      progress_.update(static_cast<double>(done) / static_cast<double>(total),
                       fmt::format("{}: step {}/{} loss {:.4f}", name, done, total, loss));
      if (Interrupt::requested()) return false;
    }
  }
  const auto steps = static_cast<double>(total);
  progress_.line(fmt::format(
      "{}: {} steps, mean loss {:.4f}{}", name, total, sum / steps,
      with_server ? fmt::format(", training accuracy of the final exit {:.2f} %",
                                100.0 * hits_ / (steps * static_cast<double>(options_.batch)))
                  : ""));
  return true;
}

bool CodecTrainer::visit_codes(const std::function<void(const Tensor&)>& visit) {
  ExitRunner encoder(Plan::lower(*codec_, encoder_part()));
  FeatureLoader& loader = plain_ ? *plain_ : *loader_;
  loader.start_epoch(0);
  while (const auto batch = loader.next()) {
    encoder.start(batch->features.front().value());
    visit(encoder.feature());
    if (Interrupt::requested()) return false;
  }
  return true;
}

bool CodecTrainer::find_scale() {
  float scale = 0.0F;
  if (!visit_codes([&](const Tensor& codes) {
        const auto values = codes.data();
        scale = std::max(scale, *std::max_element(values.begin(), values.end()));
      }))
    return false;
  if (!(scale > 0.0F) || !std::isfinite(scale))
    throw NumericError(fmt::format(
        "[codec train] the greatest value of the code is {}: nothing to send; train longer, or "
        "lower --lr",
        scale));
  record_.scale = scale;
  return true;
}

bool CodecTrainer::find_frequencies() {
  const FeatureQuantizer quantizer(record_.bits, record_.scale);
  std::vector<std::vector<std::uint64_t>> counts(
      static_cast<std::size_t>(options_.code),
      std::vector<std::uint64_t>(static_cast<std::size_t>(quantizer.num_levels())));
  if (!visit_codes([&](const Tensor& codes) {
        const auto levels = quantizer.quantize(codes.data());
        const auto plane = static_cast<std::size_t>(codes.dim(2) * codes.dim(3));
        for (std::size_t i = 0; i < levels.size(); ++i)
          ++counts[i / plane % counts.size()][levels[i]];
      }))
    return false;
  record_.frequencies.clear();
  for (const auto& channel : counts) record_.frequencies.push_back(to_frequencies(channel));
  return true;
}

void CodecTrainer::finish_model() {
  ModelInfo& info = model_.info;
  const NetworkPart before = part_before_cut(network_, options_.blocks);
  record_.device_digest = part_digest(network_, info, before);
  std::erase_if(info.records,
                [](const auto& record) { return record.first.starts_with("codec."); });
  write_record(record_, info);
  model_.attachments.insert_or_assign(std::string(kCodecAttachment), whole_attachment(codec_));
  if (!info.temperatures.empty()) {
    std::fill(info.temperatures.begin() + before.last_exit, info.temperatures.end(), 1.0F);
    notes_.emplace_back("the temperatures of the exits behind the cut are 1 again; calibrate anew");
  }
  const auto drop = [&](const std::string& prefix, const std::string& what) {
    if (std::erase_if(info.records,
                      [&](const auto& record) { return record.first.starts_with(prefix); }) > 0)
      notes_.push_back(what);
  };
  drop("policy.", "the policy, chosen for the weights before, is left out; choose it anew");
  drop("adapt.", "the thresholds by bandwidth, for the weights before, are left out; run adapt");
  if (before == device_part(network_)) return;
  // Early exits behind the cut have changed, and what was predicted of them with them.
  drop("predictor.", "the exit predictor, for the exits before, is left out; train it anew");
  model_.attachments.erase(std::string(kPredictorAttachment));
}

}  // namespace branchy
