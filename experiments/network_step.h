// TrainingStep and InferenceStep: what a network does again and again, on one batch of random
// images. For measurements.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "infer/exit_runner.h"
#include "layers/network.h"
#include "optim/sgd.h"

namespace branchy {

/// Forward, the losses of all exits, backward and update by SGD with momentum.
class TrainingStep {
 public:
  /// Throws ConfigError as make_network does.
  TrainingStep(const NetworkConfig& network, std::int64_t batch);

  [[nodiscard]] const MultiExitNetwork& network() const { return *network_; }
  void run();

 private:
  std::unique_ptr<MultiExitNetwork> network_;
  std::unique_ptr<Sgd> sgd_;
  Tensor images_;
  std::vector<std::int64_t> labels_;
  std::vector<float> weights_;
};

enum class Precision { kFloat32, kInt8 };

/// The lowered network from the images to the logits of every exit.
class InferenceStep {
 public:
  /// 8 bits are fitted on the first image. Throws ConfigError as make_network does.
  InferenceStep(const NetworkConfig& network, std::int64_t batch,
                Precision precision = Precision::kFloat32);

  [[nodiscard]] const MultiExitNetwork& network() const { return *network_; }
  void run() { run_to(network_->num_exits()); }
  /// Computes exits 1 to `exit`.
  void run_to(std::int64_t exit);

 private:
  std::unique_ptr<MultiExitNetwork> network_;
  Tensor images_;
  ExitRunner runner_;
};

}  // namespace branchy
