// Logits caches made by hand, for tests of what reads them.
#pragma once

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "train/logits_cache.h"

namespace branchy::test {

/// For each sample and exit: a class and its softmax probability, the others share the rest.
struct StoredAnswer {
  std::int64_t label = 0;
  double confidence = 0.5;
};

/// `answers[sample][exit]`; labels are all 0.
[[nodiscard]] inline LogitsCache make_cache(const std::vector<std::vector<StoredAnswer>>& answers,
                                            std::int64_t classes, ExitCosts costs) {
  LogitsCache cache;
  const auto samples = std::ssize(answers);
  for (std::size_t exit = 0; exit < answers.front().size(); ++exit) {
    Tensor logits = Tensor::zeros({samples, classes});
    for (std::int64_t i = 0; i < samples; ++i) {
      const StoredAnswer& answer = answers[static_cast<std::size_t>(i)][exit];
      const double others = static_cast<double>(classes - 1);
      logits.mutable_data()[static_cast<std::size_t>(i * classes + answer.label)] =
          static_cast<float>(std::log(others * answer.confidence / (1.0 - answer.confidence)));
    }
    cache.logits.push_back(std::move(logits));
  }
  cache.labels.assign(answers.size(), 0);
  for (std::int64_t i = 0; i < samples; ++i) cache.indices.push_back(i);
  cache.costs = std::move(costs);
  cache.network = "resnet44";
  cache.model_digest = "ab12";
  cache.data = "cifar10:data";
  cache.data_checksum = "cd34";
  cache.part = "val";
  return cache;
}

}  // namespace branchy::test
