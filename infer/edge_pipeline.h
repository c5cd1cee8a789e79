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

#include "infer/cloud_link.h"
#include "infer/edge_engine.h"
#include "infer/policy_follower.h"

namespace branchy {

struct EdgePipelineOptions {
  EdgeOptions engine;
  std::int64_t threads = 1;  ///< of the computing
  std::size_t queue = 8;     ///< images that wait for their computing, and as many for the cloud
  /// For each image that brings no deadline of its own, from `submit` on, its `decode_ms` taken
  /// off; 0: none.
  std::chrono::milliseconds deadline{0};
  /// When an image has waited so long for the cloud, its rest is computed here too, if the file
  /// holds it; nothing: only when the cloud has failed.
  std::optional<std::chrono::milliseconds> hedge = {};
  /// Chooses the policy of each image by the bandwidth, instead of `engine.policy`.
  std::optional<PolicyFollower> follower = {};
  /// Probes the link while images come, for people to see, even if no policy follows it.
  bool measures_link = false;
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

/// One thread computes; others ask the cloud, as many as the link has connections. Thread-safe.
///
/// 1. Each image gets exactly one outcome: the one that it would get alone, unless its deadline
///    passes. Outcomes come as they are ready, not in the order of `submit`.
/// 2. Images are computed in the order of `submit`. Nothing is computed while `queue` images wait
///    for a connection, but what a deadline wants.
/// 3. A deadline that passes while the image waits for its computing still gets the first exit;
///    after each exit the time is looked at. What waits for the cloud is answered at the deadline,
///    late by at most one image's computing.
/// 4. The rest of a slow image (hedge) is computed when every image that came before the hedge
///    fell due has been; the first answer wins. What a failed cloud left goes before new images.
class EdgePipeline {
 public:
  /// Called on a thread of the pipeline; must neither throw nor wait for the pipeline.
  using Done = std::function<void(const EdgeOutcome&)>;

  /// `cloud` may be null: what no exit here lets leave is then degraded (reason `no-cloud`) or,
  /// with a file that holds it, computed on here. Throws what EdgeEngine's constructor does.
  EdgePipeline(ServedModel model, std::unique_ptr<CloudLink> cloud, EdgePipelineOptions options);
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
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
