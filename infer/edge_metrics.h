// EdgeMetrics: what an edge tells a Prometheus server about its answers.
#pragma once

#include <cstdint>
#include <vector>

#include "infer/edge_pipeline.h"
#include "infer/edge_stages.h"
#include "infer/metrics_registry.h"

namespace branchy {

/// Counts answers as they come; the pipeline's state is read for each text. Thread-safe.
class EdgeMetrics {
 public:
  /// `num_exits` of the whole network. `registry` and `pipeline` must outlive this object and the
  /// registry's last text.
  EdgeMetrics(MetricsRegistry& registry, const EdgePipeline& pipeline, std::int64_t num_exits);

  void add(const EdgeOutcome& outcome);
  /// An infer request that was answered with this HTTP status, `ms` after its first byte.
  void add_request(int status, double ms);

 private:
  struct ExitMetrics {
    CounterMetric answers;
    HistogramMetric confidence;
  };

  MetricsRegistry& registry_;
  std::vector<ExitMetrics> exits_;       // [k-1] of exit k
  std::vector<HistogramMetric> stages_;  // in the order of EdgeStage
  CounterMetric edge_answers_, cloud_answers_, degraded_, dropped_;
  CounterMetric bytes_sent_, bytes_received_, retries_, hedges_;
  HistogramMetric request_seconds_;
};

}  // namespace branchy
