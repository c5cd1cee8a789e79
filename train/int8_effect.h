// What 8 bits change about a model: the accuracy and the classes of every exit, and the time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "infer/plan.h"
#include "layers/model_file.h"

namespace branchy {

/// A whole network, lowered in both ways.
struct Int8Plans {
  Int8Plans(const LoadedModel& model, const Int8Ranges& ranges);
  std::shared_ptr<const Plan> float32, int8;
};

/// Of all samples at one exit, each 0..1.
struct Int8ExitEffect {
  double float32 = 0, int8 = 0;  ///< accuracy
  double agreement = 0;          ///< share that keeps its class
};
struct Int8Effect {
  std::string part, data_checksum;
  std::int64_t samples = 0;
  std::vector<Int8ExitEffect> exits;
};
/// Runs both over `images`, the part `part` of the data. `progress` gets 0..1.
[[nodiscard]] Int8Effect int8_effect(const Int8Plans& plans, const ModelInfo& info,
                                     const std::shared_ptr<const Dataset>& images,
                                     const std::string& part,
                                     const std::function<void(double)>& progress);

/// Of a batch through all exits: medians of runs in turn.
struct Int8Speed {
  std::int64_t batch = 0, threads = 0;
  double float32_ms = 0, int8_ms = 0;
};
/// With the threads of this process (core/threads.h); about a second.
[[nodiscard]] Int8Speed int8_speed(const Int8Plans& plans, const Tensor& images);

struct QuantizationReport {
  std::string model, data;
  std::string fitted_on = {};  ///< a part of the data
  std::int64_t fitted_images = 0, operations = 0;
  std::vector<Int8Effect> effects = {};
  std::vector<Int8Speed> speeds = {};

  [[nodiscard]] std::string text() const;
  /// Begins with provenance(); shares are 0..1.
  [[nodiscard]] std::string json() const;
};

}  // namespace branchy
