// EdgeEngine: one image through the edge's exits and, when none is sure enough, to the cloud.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "infer/circuit_breaker.h"
#include "infer/cloud_client.h"
#include "infer/exit_runner.h"
#include "infer/model.h"
#include "infer/policies/max_probability.h"

namespace branchy {

struct EdgeOptions {
  /// For each early exit of the whole network; those behind the cut travel to the cloud.
  std::vector<float> thresholds;
  bool cloud_only = false;  ///< send the image, compute nothing here while the cloud answers
};

/// What became of one image. Times in milliseconds.
struct EdgeOutcome {
  Prediction prediction;
  bool from_cloud = false;
  bool degraded = false;     ///< the cloud was needed but gave no answer
  std::string reason;        ///< why degraded: a failure's kind, or "paused" by the breaker
  double edge_ms = 0;        ///< computing here
  double round_trip_ms = 0;  ///< asking the cloud, successful or not
  double cloud_ms = 0;       ///< the cloud's computing, part of round_trip_ms
  double total_ms = 0;
  std::int64_t bytes_sent = 0, bytes_received = 0;
};

/// One thread at a time. Never throws for what the cloud does.
class EdgeEngine {
 public:
  /// Is told each failure of the cloud once per streak.
  using Warn = std::function<void(const std::string&)>;

  /// `cloud` may be null: what no exit here is sure of is then degraded. Throws ConfigError when
  /// the file holds no image input, no exit, or with `cloud_only` no cloud is given.
  EdgeEngine(ServedModel model, std::unique_ptr<CloudClient> cloud, EdgeOptions options, Warn warn);

  [[nodiscard]] const ServedModel& model() const { return model_; }
  /// `pixels` 0..255, row-major [3,H,W] of the model's size.
  [[nodiscard]] EdgeOutcome classify(std::span<const std::uint8_t> pixels);

 private:
  void ask_cloud(EdgeOutcome& outcome, std::span<const std::uint8_t> pixels);
  /// Runs exits until one is sure; all of them when `all`.
  void run_exits(std::span<const std::uint8_t> pixels, bool all);
  void degrade(EdgeOutcome& outcome, const std::string& reason, const std::string& text);

  ServedModel model_;
  std::unique_ptr<CloudClient> cloud_;
  EdgeOptions options_;
  Warn warn_;
  CircuitBreaker breaker_;
  ExitRunner runner_;
  std::vector<Prediction> seen_;  ///< exits computed for this image, shallowest first
  bool cloud_was_away_ = false;
};

/// What the cloud must serve for `model`.
[[nodiscard]] CloudModel cloud_model_for(const ServedModel& model);

}  // namespace branchy
