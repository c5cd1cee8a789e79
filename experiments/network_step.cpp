#include "experiments/network_step.h"

#include <utility>

#include "core/rng.h"
#include "infer/int8_calibration.h"
#include "layers/models/registry.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "train/train_options.h"

namespace branchy {

namespace {

constexpr std::uint64_t kSeed = 1;

std::unique_ptr<MultiExitNetwork> fresh_network(const NetworkConfig& config) {
  Rng rng(kSeed);
  return make_network(config, rng);
}

Tensor random_images(const MultiExitNetwork& network, std::int64_t batch) {
  Rng rng(kSeed);
  Tensor images(network.input_shape().with_batch(batch));
  for (float& value : images.mutable_data()) value = rng.normal();
  return images;
}

std::shared_ptr<const Plan> lower(const MultiExitNetwork& network, Precision precision) {
  auto float32 = Plan::lower(network, network.whole());
  if (precision == Precision::kFloat32) return float32;
  Int8Calibration calibration(std::move(float32));
  calibration.add(random_images(network, 1));
  return Plan::lower(network, network.whole(), calibration.ranges());
}

}  // namespace

TrainingStep::TrainingStep(const NetworkConfig& network, std::int64_t batch)
    : network_(fresh_network(network)), images_(random_images(*network_, batch)) {
  std::vector<OptimizedParameter> parameters;
  for (const StateEntry& entry : network_->state())
    if (!entry.is_buffer) parameters.push_back({entry.name, entry.variable, entry.decays});
  sgd_ = std::make_unique<Sgd>(std::move(parameters),
                               SgdParams{.momentum = 0.9F, .weight_decay = 5e-4F});
  Rng rng(kSeed);
  for (std::int64_t i = 0; i < batch; ++i) labels_.push_back(rng.below(network_->config().classes));
  for (const double weight : default_exit_weights(network_->num_exits()))
    weights_.push_back(static_cast<float>(weight));
}

void TrainingStep::run() {
  sgd_->clear_gradients();
  std::vector<Variable> losses;
  for (const Variable& logits : network_->forward(Variable(images_), {.mode = Mode::kTrain}))
    losses.push_back(softmax_cross_entropy(logits, labels_));
  weighted_sum(losses, weights_).backward();
  sgd_->step(0.01F);
}

InferenceStep::InferenceStep(const NetworkConfig& network, std::int64_t batch, Precision precision)
    : network_(fresh_network(network)),
      images_(random_images(*network_, batch)),
      runner_(lower(*network_, precision)) {}

void InferenceStep::run_to(std::int64_t exit) {
  runner_.start(images_);
  for (std::int64_t number = 1; number <= exit; ++number) static_cast<void>(runner_.next_exit());
}

}  // namespace branchy
