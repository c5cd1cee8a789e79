#include "infer/edge_metrics.h"

#include <limits>
#include <string>

namespace branchy {
namespace {

// Finer where thresholds lie.
std::vector<double> confidence_buckets() {
  return {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99, 1.0};
}

// Reads the pipeline for each text.
void add_state(MetricsRegistry& registry, const EdgePipeline& pipeline) {
  const auto gauge = [&](const char* name, const char* help) { return registry.gauge(name, help); };
  const GaugeMetric bandwidth =
      gauge("branchy_link_bandwidth_bytes_per_second",
            "Estimated bandwidth to the cloud; NaN before the first transfer.");
  const GaugeMetric round_trip = gauge("branchy_link_round_trip_seconds",
                                       "Estimated round trip to the cloud; NaN before the first.");
  const GaugeMetric paused =
      gauge("branchy_cloud_paused", "1 while the circuit breaker leaves the cloud alone.");
  const GaugeMetric queued = gauge("branchy_queue_images", "Images that wait for their computing.");
  const GaugeMetric waiting =
      gauge("branchy_cloud_queue_images", "Images that wait for a connection to the cloud.");
  const GaugeMetric in_flight =
      gauge("branchy_cloud_in_flight_images", "Images asked of the cloud.");
  const CounterMetric probes = registry.counter(
      "branchy_probe_bytes_total", "Bytes both ways of messages that only measure the link.");
  registry.before_text([=, &pipeline] {
    const EdgeStatus status = pipeline.status();
    constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
    bandwidth.set(status.bits_per_second ? *status.bits_per_second / 8 : kUnknown);
    round_trip.set(status.round_trip_ms ? *status.round_trip_ms / 1e3 : kUnknown);
    paused.set(status.cloud_paused ? 1 : 0);
    queued.set(static_cast<double>(status.queued));
    waiting.set(static_cast<double>(status.waiting));
    in_flight.set(static_cast<double>(status.in_flight));
    probes.raise_to(static_cast<double>(status.probe_bytes));
  });
}

}  // namespace

EdgeMetrics::EdgeMetrics(MetricsRegistry& registry, const EdgePipeline& pipeline,
                         std::int64_t num_exits)
    : registry_(registry),
      edge_answers_(registry.counter("branchy_answers_total", "Images answered, by who decided.",
                                     {{"where", "edge"}})),
      cloud_answers_(registry.counter("branchy_answers_total", "", {{"where", "cloud"}})),
      degraded_(registry.counter("branchy_degraded_total",
                                 "Answers without the cloud that they needed.")),
      dropped_(
          registry.counter("branchy_dropped_total", "Images that the policy gives no answer for.")),
      bytes_sent_(registry.counter("branchy_feature_bytes_total",
                                   "Bytes sent to the cloud for images, HTTP headers included.")),
      bytes_received_(registry.counter("branchy_answer_bytes_total",
                                       "Bytes of the cloud's answers, HTTP headers included.")),
      retries_(registry.counter("branchy_cloud_retries_total",
                                "Further attempts at the cloud after a failed one.")),
      hedges_(registry.counter("branchy_cloud_hedges_total",
                               "Images whose rest was computed here because the cloud was slow.")),
      request_seconds_(registry.histogram(
          "branchy_request_duration_seconds",
          "Infer requests of this edge's endpoint, from the first byte to the answer.",
          seconds_buckets())) {
  for (std::int64_t exit = 1; exit <= num_exits; ++exit) {
    const MetricLabels labels{{"exit", std::to_string(exit)}};
    exits_.push_back(
        {.answers = registry.counter("branchy_exits_total",
                                     "Answers by the exit whose class was taken.", labels),
         .confidence =
             registry.histogram("branchy_exit_confidence", "Confidence of the answers, by exit.",
                                confidence_buckets(), labels)});
  }
  for (std::size_t stage = 0; stage < kNumEdgeStages; ++stage) {
    stages_.push_back(registry.histogram(
        "branchy_stage_duration_seconds", "Time of an image by stage; cloud is part of round_trip.",
        seconds_buckets(), {{"stage", std::string(to_string(static_cast<EdgeStage>(stage)))}}));
  }
  add_state(registry, pipeline);
}

void EdgeMetrics::add(const EdgeOutcome& outcome) {
  (outcome.from_cloud ? cloud_answers_ : edge_answers_).add();
  const auto exit = static_cast<std::size_t>(outcome.prediction.exit - 1);
  if (outcome.dropped) {
    dropped_.add();
  } else if (exit < exits_.size()) {
    exits_[exit].answers.add();
    exits_[exit].confidence.observe(outcome.prediction.confidence);
  }
  const StageTimes times = stage_times(outcome);
  for (std::size_t stage = 0; stage < kNumEdgeStages; ++stage) {
    if (times[stage]) stages_[stage].observe(*times[stage] / 1e3);
  }
  bytes_sent_.add(static_cast<double>(outcome.bytes_sent));
  bytes_received_.add(static_cast<double>(outcome.bytes_received));
  retries_.add(static_cast<double>(outcome.retries));
  if (outcome.hedged) hedges_.add();
  if (!outcome.degraded) return;
  degraded_.add();
  registry_
      .counter("branchy_cloud_fallback_total", "Degraded answers, by reason.",
               {{"reason", outcome.reason}})
      .add();
}

void EdgeMetrics::add_request(int status, double ms) {
  registry_
      .counter("branchy_requests_total", "Infer requests of this edge's endpoint, by HTTP status.",
               {{"status", std::to_string(status)}})
      .add();
  request_seconds_.observe(ms / 1e3);
}

}  // namespace branchy
