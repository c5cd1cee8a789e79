#include "train/validation.h"

#include <algorithm>
#include <utility>

#include "layers/softmax_cross_entropy.h"
#include "train/feature_loader.h"

namespace branchy {

std::int64_t evaluation_batch(const Shape& image) {
  constexpr std::int64_t kMost = 250;
  constexpr std::int64_t kLeast = 10;
  return std::clamp(kMost * 3 * 32 * 32 / image.size(), kLeast, kMost);
}

ValidationResult validate_network(MultiExitNetwork& network, std::shared_ptr<const Dataset> dataset,
                                  const Normalization& normalization,
                                  std::span<const float> exit_weights) {
  const LoaderOptions options{.batch = evaluation_batch(dataset->image_shape()),
                              .normalization = normalization};
  const auto trunk = network.frozen().blocks > 0 ? std::make_shared<FrozenTrunk>(network) : nullptr;
  FeatureLoader loader(std::move(dataset), options, trunk, {.enabled = false});
  return validate_network(network, loader, exit_weights);
}

ValidationResult validate_network(MultiExitNetwork& network, FeatureLoader& loader,
                                  std::span<const float> exit_weights) {
  const NoGradGuard no_grad;
  ValidationResult result;
  result.accuracy.resize(static_cast<std::size_t>(network.num_exits()));
  double images = 0.0;
  loader.start_epoch(0);
  while (const auto batch = loader.next()) {
    const auto logits = network.forward_features(batch->features, {.mode = Mode::kEval});
    const auto count = static_cast<double>(batch->labels.size());
    images += count;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const Variable loss = softmax_cross_entropy(logits[i], batch->labels);
      result.loss +=
          static_cast<double>(exit_weights[i]) * static_cast<double>(loss.value().item()) * count;
      result.accuracy[i] += static_cast<double>(count_correct(logits[i].value(), batch->labels));
    }
  }
  result.loss /= images;
  for (double& accuracy : result.accuracy) accuracy /= images;
  return result;
}

std::int64_t count_correct(const Tensor& logits, std::span<const std::int64_t> labels) {
  const auto classes = static_cast<std::ptrdiff_t>(logits.dim(1));
  const auto values = logits.data();
  std::int64_t correct = 0;
  auto row = values.begin();
  for (const std::int64_t label : labels) {
    const auto end = row + classes;
    if (std::max_element(row, end) - row == label) ++correct;
    row = end;
  }
  return correct;
}

}  // namespace branchy
