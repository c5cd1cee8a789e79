// Logits caches of random samples, whose exits get surer and better with their depth.
#pragma once

#include <cstdint>

#include "core/rng.h"
#include "train/logits_cache.h"

namespace branchy::test {

/// Three exits and four classes. The logit of the label stands out by `depth` * exit.
[[nodiscard]] inline LogitsCache random_cache(std::uint64_t seed, std::int64_t samples,
                                              float depth = 1.0F) {
  constexpr std::int64_t kExits = 3;
  constexpr std::int64_t kClasses = 4;
  Rng rng(seed);
  LogitsCache cache;
  cache.costs = {.trunk = {100, 200, 400}, .exit = {10, 20, 40}, .feature_bytes = 64};
  cache.network = "cnn9";
  cache.model_digest = "none";
  cache.data = "cifar10:somewhere";
  cache.data_checksum = "sum";
  cache.part = "val";
  for (std::int64_t i = 0; i < samples; ++i) {
    cache.labels.push_back(rng.below(kClasses));
    cache.indices.push_back(i);
  }
  for (std::int64_t exit = 1; exit <= kExits; ++exit) {
    Tensor logits(Shape{samples, kClasses});
    auto values = logits.mutable_data();
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] =
          rng.normal() + (cache.labels[i / kClasses] == static_cast<std::int64_t>(i) % kClasses
                              ? depth * static_cast<float>(exit)
                              : 0.0F);
    cache.logits.push_back(logits);
  }
  return cache;
}

}  // namespace branchy::test
