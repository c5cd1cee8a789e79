#include "infer/cloud_metrics.h"

#include <fmt/format.h>

#include <utility>

#include "core/threads.h"
#include "infer/http_server_metrics.h"

namespace branchy {
namespace {

HistogramMetric stage(MetricsRegistry& registry, const char* name) {
  return registry.histogram("branchy_request_stage_seconds",
                            "Time of inference requests by stage, the stages that they reached.",
                            seconds_buckets(), {{"stage", name}});
}

CounterMetric body_bytes(MetricsRegistry& registry, const char* direction) {
  return registry.counter("branchy_infer_body_bytes_total",
                          "Bodies of inference requests and their answers, uncompressed.",
                          {{"direction", direction}});
}

CounterMetric reloads(MetricsRegistry& registry, const char* result) {
  return registry.counter("branchy_reloads_total", "SIGHUPs by what came of them.",
                          {{"result", result}});
}

}  // namespace

CloudMetrics::CloudMetrics(MetricsRegistry& registry, std::int64_t max_rows)
    : registry_(registry),
      unknown_(model("", 0)),
      read_(stage(registry, "read")),
      batch_wait_(stage(registry, "batch_wait")),
      queue_(stage(registry, "queue")),
      compute_(stage(registry, "compute")),
      write_(stage(registry, "write")),
      total_(registry.histogram("branchy_request_seconds",
                                "Arrival to answer of inference requests that succeeded.",
                                seconds_buckets())),
      batch_rows_(registry.histogram("branchy_batch_rows", "Rows computed together.",
                                     doubling_buckets(static_cast<double>(max_rows)))),
      batch_requests_(registry.histogram("branchy_batch_requests", "Requests computed together.",
                                         doubling_buckets(static_cast<double>(max_rows)))),
      body_in_(body_bytes(registry, "in")),
      body_out_(body_bytes(registry, "out")),
      compute_cpu_(registry.counter("branchy_compute_cpu_seconds_total",
                                    "CPU time of computing models, of all threads.")),
      reloads_(reloads(registry, "ok")),
      failed_reloads_(reloads(registry, "failed")) {}

std::shared_ptr<const ModelMetrics> CloudMetrics::model(const std::string& name,
                                                        std::int64_t num_exits) {
  auto metrics = std::make_shared<ModelMetrics>();
  for (const char* result : {"ok", "bad_request", "not_found", "late", "overloaded", "error"}) {
    metrics->requests.emplace(
        result, registry_.counter("branchy_requests_total", "Inference requests by their result.",
                                  {{"model", name}, {"result", result}}));
  }
  for (std::int64_t exit = 1; exit <= num_exits; ++exit) {
    metrics->exits.push_back(
        registry_.counter("branchy_exits_total", "Rows answered here by the exit that answered.",
                          {{"model", name}, {"exit", fmt::format("{}", exit)}}));
  }
  return metrics;
}

void CloudMetrics::count(const RequestRecord& record, const ModelMetrics& model) const {
  model.requests.find(record.result())->second.add();
  body_in_.add(static_cast<double>(record.bytes_in));
  body_out_.add(static_cast<double>(record.bytes_out));
  const StageSeconds& stages = record.stages;
  if (stages.read > 0) read_.observe(stages.read);
  if (stages.compute <= 0) return;
  batch_wait_.observe(stages.batch_wait);
  queue_.observe(stages.queue);
  compute_.observe(stages.compute);
  write_.observe(stages.write);
  if (record.status < 400) total_.observe(stages.total());
}

void CloudMetrics::count_batch(const BatchReport& batch) const {
  batch_requests_.observe(static_cast<double>(batch.requests));
  batch_rows_.observe(static_cast<double>(batch.rows));
  // OpenMP's threads share the work evenly, so the worker's own time stands for theirs.
  compute_cpu_.add(batch.cpu_seconds * static_cast<double>(num_threads()));
}

void CloudMetrics::count_exits(const std::vector<std::int32_t>& exits, const ModelMetrics& model) {
  for (const std::int32_t exit : exits) {
    if (exit >= 1 && exit <= std::ssize(model.exits))
      model.exits[static_cast<std::size_t>(exit - 1)].add();
  }
}

void CloudMetrics::count_edge_exits(const EdgeExitCounts& counts) {
  for (const auto& [exit, count] : counts) {
    registry_
        .counter("branchy_edge_exits_total",
                 "Images answered on the edge by exit, as edges report them.",
                 {{"exit", fmt::format("{}", exit)}})
        .add(static_cast<double>(count));
  }
}

void CloudMetrics::count_reload(bool good) const { (good ? reloads_ : failed_reloads_).add(); }

void CloudMetrics::watch(const HttpServer& server, std::function<std::size_t()> waiting) {
  add_http_server_metrics(registry_, server);
  const GaugeMetric queue =
      registry_.gauge("branchy_queue_requests", "Requests that wait to be computed.");
  registry_.before_text(
      [queue, waiting = std::move(waiting)] { queue.set(static_cast<double>(waiting())); });
}

}  // namespace branchy
