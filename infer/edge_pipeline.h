// EdgePipeline: computes images one after another while others wait for the cloud.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "infer/edge_engine.h"

namespace branchy {

struct EdgePipelineOptions {
  EdgeOptions engine;
  std::int64_t threads = 1;   ///< of the computing
  std::size_t queue = 8;      ///< images that wait for their computing, and as many for the cloud
  std::size_t in_flight = 4;  ///< images asked of the cloud at once, each with a connection
  /// For each image that brings no deadline of its own, from `submit` on; 0: none.
  std::chrono::milliseconds deadline{0};
};

/// One image to classify.
struct EdgeImage {
  std::vector<std::uint8_t> pixels;  ///< 0..255, row-major [3,H,W] of the model's size
  /// By when the answer must be there.
  std::optional<std::chrono::steady_clock::time_point> deadline = {};
  double decode_ms = 0;  ///< what reading it took; handed on to the outcome
};

/// How the edge stands now.
struct EdgeStatus {
  std::optional<double> bits_per_second;  ///< to the cloud, from real transfers and probes
  std::optional<double> round_trip_ms;
  std::int64_t probe_bytes = 0;  ///< what measuring the link took so far
  bool has_cloud = false;        ///< a cloud was given
  bool cloud_paused = false;     ///< left alone by the circuit breaker
  std::size_t queued = 0;        ///< images that wait for their computing
  std::size_t waiting = 0;       ///< images that wait for a connection to the cloud
  std::size_t in_flight = 0;     ///< images asked of the cloud
  std::string policy;            ///< by which the next image leaves
};

/// One thread computes; up to `in_flight` others ask the cloud. Thread-safe.
///
/// 1. Each image gets exactly one outcome, the one that it would get alone.
/// 2. Outcomes come as they are ready, not in the order of `submit`.
/// 3. Memory is bounded by `queue` and `in_flight`.
class EdgePipeline {
 public:
  /// Called on a thread of the pipeline; must neither throw nor wait for the pipeline.
  using Done = std::function<void(const EdgeOutcome&)>;

  /// `cloud` may be null: what no exit here lets leave is then degraded. Throws what EdgeEngine's
  /// constructor does.
  EdgePipeline(ServedModel model, std::unique_ptr<CloudClient> cloud, EdgePipelineOptions options,
               EdgeEngine::Warn warn);
  /// drain().
  ~EdgePipeline();
  EdgePipeline(const EdgePipeline&) = delete;
  EdgePipeline& operator=(const EdgePipeline&) = delete;

  [[nodiscard]] const ServedModel& model() const;
  /// Blocks while the queue is full. Throws ShapeError for a wrong number of pixels.
  void submit(EdgeImage image, Done done);
  /// False when the queue is full; nothing is taken then. Throws as `submit`.
  [[nodiscard]] bool try_submit(EdgeImage& image, Done& done);
  /// Blocks until every image so far has its outcome.
  void drain();
  /// submit() and the wait for the outcome.
  [[nodiscard]] EdgeOutcome classify(EdgeImage image);
  [[nodiscard]] EdgeStatus status() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
