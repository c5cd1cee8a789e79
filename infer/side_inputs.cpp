#include "infer/side_inputs.h"

#include <fmt/format.h>

namespace branchy {
namespace {

void require_probabilities(const std::vector<float>& values, std::string_view name) {
  for (const float value : values) {
    if (!(value >= 0.0F && value <= 1.0F))
      throw HttpError(400, fmt::format("[input {}] holds {}, expected 0..1", name, value));
  }
}

}  // namespace

SideInputs read_side_inputs(const InferRequest& request, const ExitPolicy& policy,
                            std::int64_t num_classes) {
  SideInputs side;
  const WireTensor* classes = request.find_input(kEdgeClassInput);
  const WireTensor* confidences = request.find_input(kEdgeConfidenceInput);
  const WireTensor* scores = request.find_input(kEdgeScoreInput);
  if ((classes == nullptr) != (confidences == nullptr))
    throw HttpError(400, "request has one of edge_class and edge_confidence; send both");
  if (classes != nullptr && policy.memory() == PolicyMemory::kLogits)
    throw HttpError(400, fmt::format("policy '{}' needs the logits of exits before the cut, which "
                                     "do not travel; cut at the last early exit",
                                     policy.text()));
  if (classes != nullptr) {
    const std::vector<std::int32_t> labels = int32_values(*classes);
    const std::vector<float> values = fp32_values(*confidences);
    require_probabilities(values, kEdgeConfidenceInput);
    const std::int64_t count = classes->shape[1];
    for (std::int64_t i = 0; i < std::ssize(labels); ++i) {
      const std::int32_t label = labels[static_cast<std::size_t>(i)];
      if (label == kExitNotComputed) continue;
      if (label < 0 || label >= num_classes)
        throw HttpError(400, fmt::format("[input edge_class] holds {}, expected -1..{}", label,
                                         num_classes - 1));
      side.seen.push_back({i / count, {i % count + 1, label, values[static_cast<std::size_t>(i)]}});
    }
  }
  if (scores != nullptr) {
    side.scores = fp32_values(*scores);
    require_probabilities(side.scores, kEdgeScoreInput);
  } else if (policy.needs_scores()) {
    throw HttpError(400, fmt::format("policy '{}' needs the input edge_score", policy.text()));
  }
  return side;
}

}  // namespace branchy
